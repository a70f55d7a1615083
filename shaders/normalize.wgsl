// 8-bit RGBA pixels to the network's input: (x / 255 - mean) / deviation per channel, torchvision's ToTensor followed
// by Normalize. One invocation a pixel.
//
//   pixels  [batch * height * width], red in the lowest byte, alpha ignored
//   out     [batch * height * width] vec4s, the fourth channel 0
//   light   LIGHT: [batch] of (gain, offset); values from 0 to 1 are multiplied and added to first, and what leaves 0
//           to 1 is clipped
#import activation_storage
#import rgb8

struct Params {
    mean: vec4<f32>,
    deviation: vec4<f32>,
    width: u32,
    height: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;
#ifdef LIGHT
@group(0) @binding(3) var<storage, read> light: array<vec2<f32>>;
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width {
        return;
    }
    let index = id.y * params.width + id.x;
    var rgb = rgb_of(pixels[index]);
#ifdef LIGHT
    let change = light[id.y / params.height];
    rgb = clamp(change.x * rgb + change.y, vec3(0.0), vec3(1.0));
#endif
    out[index] = to_output(vec4((rgb - params.mean.xyz) / params.deviation.xyz, 0.0));
}
