// The segmentation loss SEG: squared errors of maps, a defect's pixels and all others each with a weight of the
// image's, and `factor` times the loss's gradient. One workgroup an image.
//
//   maps      [batch][pixels]
//   masks     [batch][pixels], 1 in defects and 0 elsewhere
//   weights   [batch][4]: of normal pixels, of defects' pixels, and two that are not read
//   gradient  [batch][pixels]
//   loss      [batch], of each image
#import reduce

struct Params {
    pixels: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> maps: array<f32>;
@group(0) @binding(2) var<storage, read> masks: array<f32>;
@group(0) @binding(3) var<storage, read> weights: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> loss: array<f32>;

const INVOCATIONS: u32 = 256u;

alias Value = f32;

fn joined(a: f32, b: f32) -> f32 {
    return a + b;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let of_image = weights[workgroup.x];
    var sum = 0.0;
    for (var pixel = lane; pixel < params.pixels; pixel += INVOCATIONS) {
        let place = workgroup.x * params.pixels + pixel;
        let error = maps[place] - masks[place];
        let weighted = mix(of_image.x, of_image.y, masks[place]) * error;
        gradient[place] = 2.0 * params.factor * weighted;
        sum += weighted * error;
    }
    let of_all = reduce(lane, sum);
    if lane == 0u {
        loss[workgroup.x] = of_all;
    }
}
