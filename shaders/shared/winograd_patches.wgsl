// What the input transforms of Winograd's algorithms share: reading the padded image and writing transformed patches.
//
//   x    [batch][height][width][channels] vec4s
//   out  [positions][batch * tiles_down * tiles_across][channels] vec4s, with TEXTURE defined as a row texture
#import activation_storage
#import winograd_place
#ifdef TEXTURE
#import row_texture
#endif

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    // Patches of all images.
    tiles: u32,
    // Least value x is read as: 0 applies a relu on the way in, the lowest float leaves x as it is.
    input_floor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
#ifdef TEXTURE
@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<Output>;
#endif

fn load(place: Place, down: u32, right: u32) -> vec4<f32> {
    // One too large, for the padding: 0 means just outside.
    let y = place.y + down;
    let column = place.column + right;
    if y == 0u || column == 0u || y > params.height || column > params.width {
        return vec4(0.0);
    }
    let pixel = (place.image * params.height + y - 1u) * params.width + column - 1u;
    return max(from_input(x[pixel * params.channels + place.channel]), vec4(params.input_floor));
}

fn store(place: Place, position: u32, value: vec4<f32>) {
#ifdef TEXTURE
    let row = row_place(position, place.tile, params.tiles);
    textureStore(out, vec2(place.channel, row.y), row.x, value);
#else
    out[(position * params.tiles + place.tile) * params.channels + place.channel] = to_output(value);
#endif
}
