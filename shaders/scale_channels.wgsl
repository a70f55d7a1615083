// Each channel of each image times a factor of its own: what torch.nn.Dropout2d does with factors of 0 and 1 / (1 -
// p), and its gradient as well. One invocation 4 channels of a pixel.
//
//   x, out   [batch][pixels][channels] vec4s
//   factors  [batch][channels] vec4s
struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> factors: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels {
        return;
    }
    let place = id.y * params.channels + id.x;
    out[place] = x[place] * factors[(id.y / params.pixels) * params.channels + id.x];
}
