// A 3-channel NCHW tensor to channels last, padded to 4 channels with 0. One invocation a pixel.
//
//   planes  [batch][3][height * width]
//   out     [batch][height * width] vec4s
#import activation_storage

struct Params {
    width: u32,
    height: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> planes: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width {
        return;
    }
    let plane = params.width * params.height;
    let image = id.y / params.height;
    let pixel = (id.y % params.height) * params.width + id.x;
    let first = image * 3u * plane + pixel;
    let value = vec4(planes[first], planes[first + plane], planes[first + 2u * plane], 0.0);
    out[image * plane + pixel] = to_output(value);
}
