// relu of a BatchNorm in training: scale * (x - mean) / deviation + shift with its group's statistics. One invocation 4
// channels of a pixel.
//
//   x, out        [groups][rows][width * channels] vec4s
//   statistics    [groups][2][channels] vec4s, as batch_norm_statistics.wgsl has them
//   scale, shift  [channels] vec4s
#import pixel

struct Params {
    rows: u32,
    width: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> scale: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> shift: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    // The rows of a group are those of one tall image.
    let p = pixel_of(id, params.rows, params.width, params.channels);
    if p.x >= params.width {
        return;
    }
    let of_group = p.image * 2u * params.channels + p.channel;
    let place = p.index * params.channels + p.channel;
    let standard = (x[place] - statistics[of_group]) * statistics[of_group + params.channels];
    out[place] = max(scale[p.channel] * standard + shift[p.channel], vec4(0.0));
}
