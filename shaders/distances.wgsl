// Squared distances of a band of grid rows to every prototype, position norm + prototype norm - 2 phi . C, never below
// 0.
//
// phi is a concatenation of bilinear resizes (align_corners=False), and a product with a constant commutes with a
// resize: phi . C is the sum over levels of the resized products made at the level's own resolution. Each level's
// products cover the rows the band needs, from `first` on. One invocation 4 prototypes of a position.
//
//   products_k       [rows of level k][side k][prototypes] vec4s, or with TEXTURE defined a row texture of them
//   position_norms   [batch * grid * grid], |phi|^2 or what stands for it
//   prototype_norms  [prototypes] vec4s, |C|^2 or what stands for it
//   out              [band rows * grid][prototypes] vec4s
#import bilinear
#import row_texture

struct Params {
    grid: u32,
    prototypes: u32,
    // First grid row of the band.
    band: u32,
    // Positions of the images before this one.
    first_position: u32,
    // Per level: the side of its square of products, 0 where the descriptors have no such level, and the first row
    // present.
    sides: vec4<u32>,
    first: vec4<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
#ifdef TEXTURE
@group(0) @binding(1) var products_1: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var products_2: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(3) var products_3: texture_storage_2d_array<rgba32float, read>;
#else
@group(0) @binding(1) var<storage, read> products_1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> products_2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> products_3: array<vec4<f32>>;
#endif
@group(0) @binding(4) var<storage, read> position_norms: array<f32>;
@group(0) @binding(5) var<storage, read> prototype_norms: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

// Rows of a level's products that a position reads, and their weights.
struct Samples {
    pixel: vec4<u32>,
    weight: vec4<f32>,
}

fn samples(level: u32, y: u32, column: u32) -> Samples {
    let side = params.sides[level];
    if side == 0u {
        return Samples(vec4(0u), vec4(0.0));
    }
    let down = taps_half_pixel(y, side, params.grid);
    let across = taps_half_pixel(column, side, params.grid);
    let corners = corners_of(0u, side, down, across);
    let right = corners.share.x;
    let lower = corners.share.y;
    return Samples(
        corners.pixel - params.first[level] * side,
        vec4((1.0 - lower) * (1.0 - right), (1.0 - lower) * right, lower * (1.0 - right), lower * right),
    );
}

#ifdef TEXTURE
fn product_1(pixel: u32, prototype: u32) -> vec4<f32> {
    let place = place_of_row(pixel);
    return textureLoad(products_1, vec2(prototype, place.y), place.x);
}

fn product_2(pixel: u32, prototype: u32) -> vec4<f32> {
    let place = place_of_row(pixel);
    return textureLoad(products_2, vec2(prototype, place.y), place.x);
}

fn product_3(pixel: u32, prototype: u32) -> vec4<f32> {
    let place = place_of_row(pixel);
    return textureLoad(products_3, vec2(prototype, place.y), place.x);
}
#else
fn product_1(pixel: u32, prototype: u32) -> vec4<f32> {
    return products_1[pixel * params.prototypes + prototype];
}

fn product_2(pixel: u32, prototype: u32) -> vec4<f32> {
    return products_2[pixel * params.prototypes + prototype];
}

fn product_3(pixel: u32, prototype: u32) -> vec4<f32> {
    return products_3[pixel * params.prototypes + prototype];
}
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.prototypes {
        return;
    }
    let y = params.band + id.y / params.grid;
    let column = id.y % params.grid;
    let level_1 = samples(0u, y, column);
    let level_2 = samples(1u, y, column);
    let level_3 = samples(2u, y, column);
    let product = mat4x4(
        product_1(level_1.pixel.x, id.x),
        product_1(level_1.pixel.y, id.x),
        product_1(level_1.pixel.z, id.x),
        product_1(level_1.pixel.w, id.x),
    ) * level_1.weight + mat4x4(
        product_2(level_2.pixel.x, id.x),
        product_2(level_2.pixel.y, id.x),
        product_2(level_2.pixel.z, id.x),
        product_2(level_2.pixel.w, id.x),
    ) * level_2.weight + mat4x4(
        product_3(level_3.pixel.x, id.x),
        product_3(level_3.pixel.y, id.x),
        product_3(level_3.pixel.z, id.x),
        product_3(level_3.pixel.w, id.x),
    ) * level_3.weight;
    let norm = position_norms[params.first_position + y * params.grid + column];
    let squared = vec4(norm) + prototype_norms[id.x] - 2.0 * product;
    out[id.y * params.prototypes + id.x] = max(squared, vec4(0.0));
}
