// Gradient of the weights of a convolution of stride 1 whose padding keeps the size (torch.nn.grad.conv2d_weight):
// for each tap of the kernel, the shifted input transposed times the gradient of the output. What the images add to
// it stays apart; adam.wgsl sums it up. One invocation 8 x 8 weights of a tap and an image.
//
//   x    [batch][height][width][inputs] vec4s, or with TEXTURE defined a row texture of them
//   dy   [batch][height][width][outputs] vec4s, the same
//   out  [batch][kernel * kernel][4 * inputs][outputs] vec4s
#import row_texture

struct Params {
    height: u32,
    width: u32,
    kernel: u32,
    // In vec4s.
    inputs: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
#ifdef TEXTURE
@group(0) @binding(1) var x: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(2) var dy: texture_storage_2d_array<rgba32float, read>;
#else
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
#endif
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

fn x_at(pixel: u32, channel: u32) -> vec4<f32> {
#ifdef TEXTURE
    let place = place_of_row(pixel);
    return textureLoad(x, vec2(channel, place.y), place.x);
#else
    return x[pixel * params.inputs + channel];
#endif
}

fn dy_at(pixel: u32, channel: u32) -> vec4<f32> {
#ifdef TEXTURE
    let place = place_of_row(pixel);
    return textureLoad(dy, vec2(channel, place.y), place.x);
#else
    return dy[pixel * params.outputs + channel];
#endif
}

// Column i of the result is what input channel i adds to 4 weights.
fn outer(inputs: vec4<f32>, outputs: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(inputs.x * outputs, inputs.y * outputs, inputs.z * outputs, inputs.w * outputs);
}

fn store(place: u32, input: u32, output: u32, sums: mat4x4<f32>) {
    for (var i = 0u; i < 4u; i++) {
        out[(place * 4u * params.inputs + 4u * input + i) * params.outputs + output] = sums[i];
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let tiles_across = (params.outputs + 1u) / 2u;
    let tiles_down = (params.inputs + 1u) / 2u;
    if id.x >= tiles_across * tiles_down {
        return;
    }
    let input = 2u * (id.x / tiles_across);
    let output = 2u * (id.x % tiles_across);
    // Where channels end in the middle of a tile, its other half repeats the first.
    let next_input = min(input + 1u, params.inputs - 1u);
    let next_output = min(output + 1u, params.outputs - 1u);
    let padding = params.kernel / 2u;
    let down = id.y / params.kernel;
    let right = id.y % params.kernel;
    // The output pixels whose pixel under this tap is not padding.
    let first_y = max(padding, down) - down;
    let first_x = max(padding, right) - right;
    let end_y = params.height + padding - max(padding, down);
    let end_x = params.width + padding - max(padding, right);
    var sums = array<mat4x4<f32>, 4>();
    for (var y = first_y; y < end_y; y++) {
        for (var column = first_x; column < end_x; column++) {
            let row = id.z * params.height + y;
            let pixel = row * params.width + column;
            let source = (row + down - padding) * params.width + column + right - padding;
            let x_0 = x_at(source, input);
            let x_1 = x_at(source, next_input);
            let dy_0 = dy_at(pixel, output);
            let dy_1 = dy_at(pixel, next_output);
            sums[0] += outer(x_0, dy_0);
            sums[1] += outer(x_0, dy_1);
            sums[2] += outer(x_1, dy_0);
            sums[3] += outer(x_1, dy_1);
        }
    }
    let place = id.z * params.kernel * params.kernel + id.y;
    store(place, input, output, sums[0]);
    store(place, input, next_output, sums[1]);
    store(place, next_input, output, sums[2]);
    store(place, next_input, next_output, sums[3]);
}
