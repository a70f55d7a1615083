// Gradient of project.wgsl's input: the weights times the gradient of the pixel's one channel. One invocation 4
// channels of a pixel.
//
//   dy      [pixels]
//   weight  [channels + 1] vec4s, the last (the bias) is not read
//   out     [pixels][channels] vec4s
struct Params {
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels {
        return;
    }
    out[id.y * params.channels + id.x] = dy[id.y] * weight[id.x];
}
