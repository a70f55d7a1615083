// Squared distance of each pixel's channels from a centre. One invocation a pixel.
//
//   x       [pixels][channels] vec4s
//   center  [channels] vec4s
//   out     [pixels]
#import channels

struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> center: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.pixels {
        return;
    }
    var sum = vec4(0.0);
    for (var i = 0u; i < params.channels; i++) {
        let difference = x[id.x * params.channels + i] - center[i];
        sum += difference * difference;
    }
    out[id.x] = sum_of_channels(sum);
}
