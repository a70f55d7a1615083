// Two bilinear resizes in one, both align_corners=True: size x size to through x through to out_size x out_size, the
// way one decoder bin hands its output to the next by way of the common grid, which is never stored. One invocation 4
// channels of an output pixel.
//
//   x    [batch][size][size][channels] vec4s
//   out  [batch][out_size][out_size][out_stride] vec4s, written from out_offset on
#import activation_storage
#import bilinear

struct Params {
    size: u32,
    through: u32,
    out_size: u32,
    channels: u32,
    out_offset: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// A sample of row `row` of x at column `column` of the common grid.
fn sample_row(row: u32, column: u32, channel: u32) -> vec4<f32> {
    let across = taps_align_corners(column, params.size, params.through);
    return mix(
        from_input(x[(row + across.low) * params.channels + channel]),
        from_input(x[(row + across.high) * params.channels + channel]),
        across.weight,
    );
}

// The value at a position of the common grid.
fn sample_grid(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    let down = taps_align_corners(y, params.size, params.through);
    let first = image * params.size;
    return mix(
        sample_row((first + down.low) * params.size, column, channel),
        sample_row((first + down.high) * params.size, column, channel),
        down.weight,
    );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.out_size * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let out_x = id.x / params.channels;
    let image = id.y / params.out_size;
    let across = taps_align_corners(out_x, params.through, params.out_size);
    let down = taps_align_corners(id.y % params.out_size, params.through, params.out_size);
    let upper = mix(
        sample_grid(image, down.low, across.low, channel),
        sample_grid(image, down.low, across.high, channel),
        across.weight,
    );
    let lower = mix(
        sample_grid(image, down.high, across.low, channel),
        sample_grid(image, down.high, across.high, channel),
        across.weight,
    );
    out[params.out_offset + (id.y * params.out_size + out_x) * params.out_stride + channel] = mix(upper, lower, down.weight);
}
