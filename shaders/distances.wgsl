// Squared distances of a band of grid rows to every prototype, position norm + prototype norm - 2 phi . C, never below
// 0.
//
// phi is a concatenation of bilinear resizes (align_corners=False), and a product with a constant commutes with a
// resize: phi . C is the sum over levels of the resized products made at the level's own resolution. Each level's
// products cover the rows the band needs, from `first` on. One invocation 4 prototypes of a position.
//
//   products_k       [rows of level k][side k][prototypes] vec4s
//   position_norms   [batch * grid * grid], |phi|^2 or what stands for it
//   prototype_norms  [prototypes] vec4s, |C|^2 or what stands for it
//   out              [band rows * grid][prototypes] vec4s
#import bilinear

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
@group(0) @binding(1) var<storage, read> products_1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> products_2: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> products_3: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> position_norms: array<f32>;
@group(0) @binding(5) var<storage, read> prototype_norms: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

// Elements of a level's products that a position reads, and their weights.
struct Samples {
    index: vec4<u32>,
    weight: vec4<f32>,
}

fn samples(level: u32, y: u32, column: u32, prototype: u32) -> Samples {
    let side = params.sides[level];
    if side == 0u {
        return Samples(vec4(0u), vec4(0.0));
    }
    let down = taps_half_pixel(y, side, params.grid);
    let across = taps_half_pixel(column, side, params.grid);
    let corners = corners_of(0u, side, down, across);
    let pixel = corners.pixel - params.first[level] * side;
    let right = corners.share.x;
    let lower = corners.share.y;
    return Samples(
        pixel * params.prototypes + prototype,
        vec4((1.0 - lower) * (1.0 - right), (1.0 - lower) * right, lower * (1.0 - right), lower * right),
    );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.prototypes {
        return;
    }
    let y = params.band + id.y / params.grid;
    let column = id.y % params.grid;
    let level_1 = samples(0u, y, column, id.x);
    let level_2 = samples(1u, y, column, id.x);
    let level_3 = samples(2u, y, column, id.x);
    let product = mat4x4(
        products_1[level_1.index.x],
        products_1[level_1.index.y],
        products_1[level_1.index.z],
        products_1[level_1.index.w],
    ) * level_1.weight + mat4x4(
        products_2[level_2.index.x],
        products_2[level_2.index.y],
        products_2[level_2.index.z],
        products_2[level_2.index.w],
    ) * level_2.weight + mat4x4(
        products_3[level_3.index.x],
        products_3[level_3.index.y],
        products_3[level_3.index.z],
        products_3[level_3.index.w],
    ) * level_3.weight;
    let norm = position_norms[params.first_position + y * params.grid + column];
    let squared = vec4(norm) + prototype_norms[id.x] - 2.0 * product;
    out[id.y * params.prototypes + id.x] = max(squared, vec4(0.0));
}
