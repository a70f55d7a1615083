// A 1 x 1 convolution to a single channel. One invocation a pixel.
//
//   x       [pixels][channels] vec4s
//   weight  [channels + 1] vec4s, the last holds the bias in its first component
//   out     [pixels]
#import channels

struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.pixels {
        return;
    }
    var sum = vec4(0.0);
    for (var i = 0u; i < params.channels; i++) {
        sum += x[id.x * params.channels + i] * weight[i];
    }
    out[id.x] = sum_of_channels(sum) + weight[params.channels].x;
}
