// Gradient of a BatchNorm's input in training, through its statistics as well. One invocation 4 channels of a pixel.
//
//   x, dy, out        [groups][rows][width * channels] vec4s
//   statistics        [groups][2][channels] vec4s, as batch_norm_statistics.wgsl has them
//   scale             [channels] vec4s
//   d_scale, d_shift  [groups][channels] vec4s, as batch_norm_sums.wgsl has them
#import pixel

struct Params {
    rows: u32,
    width: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> d_scale: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> d_shift: array<vec4<f32>>;
@group(0) @binding(7) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // The rows of a group are those of one tall image.
    let p = pixel_of(id, params.rows, params.width, params.channels);
    if p.x >= params.width {
        return;
    }
    let of_group = 2u * p.image * params.channels + p.channel;
    let reciprocal = statistics[of_group + params.channels];
    let place = p.index * params.channels + p.channel;
    let standard = (x[place] - statistics[of_group]) * reciprocal;
    let sums = p.image * params.channels + p.channel;
    let average = (d_shift[sums] + standard * d_scale[sums]) / f32(params.rows * params.width);
    out[place] = scale[p.channel] * reciprocal * (dy[place] - average);
}
