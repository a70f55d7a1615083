// Two bilinear resizes in one, both align_corners=True: size x size to through x through to out_size x out_size, the
// way one decoder bin hands its output to the next by way of the common grid, which is never stored. One invocation 4
// channels of an output pixel.
//
//   x    [batch][size][size][channels] vec4s
//   out  [batch][out_size][out_size][out_stride] vec4s, written from out_offset on
#import activation_storage
#import bilinear
#import pixel

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

// The value at a position of the common grid.
fn sample_grid(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    let down = taps_align_corners(y, params.size, params.through);
    let across = taps_align_corners(column, params.size, params.through);
    let corners = corners_of(image * params.size * params.size, params.size, down, across);
    let at = corners.pixel * params.channels + channel;
    return interpolate(
        from_input(x[at.x]),
        from_input(x[at.y]),
        from_input(x[at.z]),
        from_input(x[at.w]),
        corners.share,
    );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.out_size, params.out_size, params.channels);
    if pixel.x >= params.out_size {
        return;
    }
    let down = taps_align_corners(pixel.y, params.through, params.out_size);
    let across = taps_align_corners(pixel.x, params.through, params.out_size);
    out[params.out_offset + pixel.index * params.out_stride + pixel.channel] = interpolate(
        sample_grid(pixel.image, down.low, across.low, pixel.channel),
        sample_grid(pixel.image, down.low, across.high, pixel.channel),
        sample_grid(pixel.image, down.high, across.low, pixel.channel),
        sample_grid(pixel.image, down.high, across.high, pixel.channel),
        vec2(across.weight, down.weight),
    );
}
