// Bilinear resize: torch.nn.functional.interpolate(mode="bilinear"), align_corners by parameter. One invocation 4
// channels of an output pixel.
//
//   x    [batch][height][width][channels] vec4s
//   out  [batch][out_height][out_width][out_stride] vec4s, written from out_offset on
#import activation_storage
#import bilinear
#import pixel

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.out_height, params.out_width, params.channels);
    if pixel.x >= params.out_width {
        return;
    }
    let align_corners = params.align_corners != 0u;
    let down = taps_of(pixel.y, params.height, params.out_height, align_corners);
    let across = taps_of(pixel.x, params.width, params.out_width, align_corners);
    let corners = corners_of(pixel.image * params.height * params.width, params.width, down, across);
    let at = corners.pixel * params.channels + pixel.channel;
    let value = interpolate(x[at.x], x[at.y], x[at.z], x[at.w], corners.share);
    out[params.out_offset + pixel.index * params.out_stride + pixel.channel] = to_output(value);
}
