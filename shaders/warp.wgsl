// A photograph as it looks in other poses and other light, as the network's input: an affine map of the plane with
// bilinear sampling, a change of brightness and contrast, then (x / 255 - mean) / deviation per channel. Outside the
// photograph its edge goes on. One invocation a pixel of a pose.
//
//   pixels  [height * width], red in the lowest byte, alpha ignored
//   poses   [batch][2]; of pose p and the output pixel with centre (x, y) the photograph's point
//           (p[0].x * x + p[0].y * y + p[0].z, p[1].x * x + p[1].y * y + p[1].z) is taken; values from 0 to 1 are
//           multiplied by p[0].w, p[1].w is added, and what leaves 0 to 1 is clipped
//   out     [batch][side * side] vec4s, the fourth channel 0
#import activation_storage
#import bilinear
#import rgb8

struct Params {
    mean: vec4<f32>,
    deviation: vec4<f32>,
    height: u32,
    width: u32,
    side: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> poses: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<Output>;

fn load(y: f32, x: f32) -> vec4<f32> {
    let row = u32(clamp(y, 0.0, f32(params.height - 1u)));
    let column = u32(clamp(x, 0.0, f32(params.width - 1u)));
    return vec4(rgb_of(pixels[row * params.width + column]), 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.side {
        return;
    }
    let image = id.y / params.side;
    let across = poses[2u * image];
    let down = poses[2u * image + 1u];
    let centre = vec3(f32(id.x) + 0.5, f32(id.y % params.side) + 0.5, 1.0);
    let x = dot(across.xyz, centre) - 0.5;
    let y = dot(down.xyz, centre) - 0.5;
    let left = floor(x);
    let top = floor(y);
    let sampled = interpolate(
        load(top, left),
        load(top, left + 1.0),
        load(top + 1.0, left),
        load(top + 1.0, left + 1.0),
        vec2(x - left, y - top),
    );
    let value = clamp(sampled * across.w + down.w, vec4(0.0), vec4(1.0));
    out[id.y * params.side + id.x] = to_output(vec4(((value - params.mean) / params.deviation).xyz, 0.0));
}
