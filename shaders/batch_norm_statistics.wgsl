// What a BatchNorm in training knows of its input: mean and reciprocal deviation of each channel over each group of
// images; and the running means of both that inference takes for them. One workgroup 4 channels, a group after another.
//
//   x           [groups][pixels][channels] vec4s
//   statistics  [groups][2][channels] vec4s: mean, 1 / sqrt(variance + epsilon)
//   mean        [channels] vec4s, the running one
//   variance    [channels] vec4s, the running one, of which each group gives an unbiased estimate
#import reduce

struct Params {
    groups: u32,
    pixels: u32,
    channels: u32,
    momentum: f32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> statistics: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> mean: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> variance: array<vec4<f32>>;

const INVOCATIONS: u32 = 256u;

alias Value = vec4<f32>;

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a + b;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let channel = workgroup.x;
    let count = f32(params.pixels);
    for (var group = 0u; group < params.groups; group++) {
        let first = group * params.pixels * params.channels + channel;
        var sum = vec4(0.0);
        for (var pixel = lane; pixel < params.pixels; pixel += INVOCATIONS) {
            sum += x[first + pixel * params.channels];
        }
        let of_group = reduce(lane, sum) / count;
        var squares = vec4(0.0);
        for (var pixel = lane; pixel < params.pixels; pixel += INVOCATIONS) {
            let distance = x[first + pixel * params.channels] - of_group;
            squares += distance * distance;
        }
        let square = reduce(lane, squares);
        if lane == 0u {
            let place = 2u * group * params.channels + channel;
            statistics[place] = of_group;
            statistics[place + params.channels] = inverseSqrt(square / count + params.epsilon);
            mean[channel] = mix(mean[channel], of_group, params.momentum);
            variance[channel] = mix(variance[channel], square / max(count - 1.0, 1.0), params.momentum);
        }
    }
}
