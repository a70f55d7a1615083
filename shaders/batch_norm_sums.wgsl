// Gradients of a BatchNorm's shift and scale, those of each group: sums over its pixels of the output's gradient, and
// of that times the standardised input. One workgroup 4 channels of a group.
//
//   x, dy             [groups][pixels][channels] vec4s
//   statistics        [groups][2][channels] vec4s, as batch_norm_statistics.wgsl has them
//   d_scale, d_shift  [groups][channels] vec4s
#import reduce

struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> d_scale: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> d_shift: array<vec4<f32>>;

const INVOCATIONS: u32 = 256u;

alias Value = vec4<f32>;

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a + b;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let channel = workgroup.x;
    let of_group = 2u * workgroup.y * params.channels + channel;
    let mean = statistics[of_group];
    let first = workgroup.y * params.pixels * params.channels + channel;
    var of_scale = vec4(0.0);
    var of_shift = vec4(0.0);
    for (var pixel = lane; pixel < params.pixels; pixel += INVOCATIONS) {
        let place = first + pixel * params.channels;
        of_scale += dy[place] * (x[place] - mean);
        of_shift += dy[place];
    }
    let scale = reduce(lane, of_scale);
    let shift = reduce(lane, of_shift);
    if lane == 0u {
        let place = workgroup.y * params.channels + channel;
        d_scale[place] = scale * statistics[of_group + params.channels];
        d_shift[place] = shift;
    }
}
