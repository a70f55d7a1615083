// Bilinear resize of single-channel square maps, align_corners by parameter. One invocation an output pixel.
//
//   x    [batch][size][size]
//   out  [batch][out_size][out_size]
#import bilinear

struct Params {
    size: u32,
    out_size: u32,
    align_corners: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.out_size {
        return;
    }
    let image = id.y / params.out_size;
    let align_corners = params.align_corners != 0u;
    let down = taps_of(id.y % params.out_size, params.size, params.out_size, align_corners);
    let across = taps_of(id.x, params.size, params.out_size, align_corners);
    let corners = corners_of(image * params.size * params.size, params.size, down, across);
    let at = corners.pixel;
    out[id.y * params.out_size + id.x] = interpolate_one(vec4(x[at.x], x[at.y], x[at.z], x[at.w]), corners.share);
}
