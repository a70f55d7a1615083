// Bilinear resize: torch.nn.functional.interpolate(mode="bilinear"), align_corners by parameter. One invocation 4
// channels of an output pixel.
//
//   x    [batch][height][width][channels] vec4s
//   out  [batch][out_height][out_width][out_stride] vec4s, written from out_offset on
#import activation_storage
#import bilinear

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    out_offset: u32,
    out_stride: u32,
    align_corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;

fn taps(position: u32, from_size: u32, to_size: u32) -> Taps {
    if params.align_corners != 0u {
        return taps_align_corners(position, from_size, to_size);
    }
    return taps_half_pixel(position, from_size, to_size);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.out_width * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let out_x = id.x / params.channels;
    let image = id.y / params.out_height;
    let across = taps(out_x, params.width, params.out_width);
    let down = taps(id.y % params.out_height, params.height, params.out_height);
    let top = (image * params.height + down.low) * params.width;
    let bottom = (image * params.height + down.high) * params.width;
    let upper = mix(
        x[(top + across.low) * params.channels + channel],
        x[(top + across.high) * params.channels + channel],
        across.weight,
    );
    let lower = mix(
        x[(bottom + across.low) * params.channels + channel],
        x[(bottom + across.high) * params.channels + channel],
        across.weight,
    );
    out[params.out_offset + (id.y * params.out_width + out_x) * params.out_stride + channel] = to_output(mix(upper, lower, down.weight));
}
