// Winograd F(2x2, 3x3), step 1 of 3 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015):
// every 4 x 4 patch d of the zero-padded image, 2 apart, becomes B^T d B. Step 2 multiplies each of the 16 positions of
// a patch as one matrix product over channels. One invocation 4 channels of a patch.
//
//   x    [batch][height][width][channels] vec4s
//   out  [16][batch * tiles_down * tiles_across][channels] vec4s
struct Params {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    // vec4s between one position of a patch and the next.
    plane: u32,
    // Least value x is read as: 0 applies a relu on the way in, the lowest float leaves x as it is.
    input_floor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

fn load(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    // y and column are one too large, for the padding: 0 means just outside.
    if y == 0u || column == 0u || y > params.height || column > params.width {
        return vec4(0.0);
    }
    let pixel = (image * params.height + y - 1u) * params.width + column - 1u;
    return max(x[pixel * params.channels + channel], vec4(params.input_floor));
}

// B^T applied to 4 values: the columns of the result are the transformed values.
fn transform(d: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let tile_x = id.x / params.channels;
    let image = id.y / params.tiles_down;
    let y = 2u * (id.y % params.tiles_down);
    let column = 2u * tile_x;

    // Each mat4x4 is one column of the patch after the vertical transform: 4 rows of 4 channels.
    let column_0 = transform(mat4x4(
        load(image, y, column, channel),
        load(image, y + 1u, column, channel),
        load(image, y + 2u, column, channel),
        load(image, y + 3u, column, channel),
    ));
    let column_1 = transform(mat4x4(
        load(image, y, column + 1u, channel),
        load(image, y + 1u, column + 1u, channel),
        load(image, y + 2u, column + 1u, channel),
        load(image, y + 3u, column + 1u, channel),
    ));
    let column_2 = transform(mat4x4(
        load(image, y, column + 2u, channel),
        load(image, y + 1u, column + 2u, channel),
        load(image, y + 2u, column + 2u, channel),
        load(image, y + 3u, column + 2u, channel),
    ));
    let column_3 = transform(mat4x4(
        load(image, y, column + 3u, channel),
        load(image, y + 1u, column + 3u, channel),
        load(image, y + 2u, column + 3u, channel),
        load(image, y + 3u, column + 3u, channel),
    ));

    let first = (id.y * params.tiles_across + tile_x) * params.channels + channel;
    for (var row = 0u; row < 4u; row++) {
        let values = transform(mat4x4(column_0[row], column_1[row], column_2[row], column_3[row]));
        for (var i = 0u; i < 4u; i++) {
            out[first + (4u * row + i) * params.plane] = values[i];
        }
    }
}
