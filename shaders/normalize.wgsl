// 8-bit RGBA pixels to the network's input: (x / 255 - mean) / deviation per channel, torchvision's ToTensor followed
// by Normalize. One invocation a pixel.
//
//   pixels  [batch * height * width], red in the lowest byte, alpha ignored
//   out     [batch * height * width] vec4s, the fourth channel 0
#import activation_storage
#import rgb8

struct Params {
    mean: vec4<f32>,
    deviation: vec4<f32>,
    width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width {
        return;
    }
    let index = id.y * params.width + id.x;
    let value = (rgb_of(pixels[index]) - params.mean.xyz) / params.deviation.xyz;
    out[index] = to_output(vec4(value, 0.0));
}
