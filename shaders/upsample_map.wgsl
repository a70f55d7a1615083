// Bilinear resize (align_corners=True) of single-channel square maps. One invocation an output pixel.
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
    var across = taps_half_pixel(id.x, params.size, params.out_size);
    var down = taps_half_pixel(id.y % params.out_size, params.size, params.out_size);
    if params.align_corners != 0u {
        across = taps_align_corners(id.x, params.size, params.out_size);
        down = taps_align_corners(id.y % params.out_size, params.size, params.out_size);
    }
    let top = (image * params.size + down.low) * params.size;
    let bottom = (image * params.size + down.high) * params.size;
    let upper = mix(x[top + across.low], x[top + across.high], across.weight);
    let lower = mix(x[bottom + across.low], x[bottom + across.high], across.weight);
    out[id.y * params.out_size + id.x] = mix(upper, lower, down.weight);
}
