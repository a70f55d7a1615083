// Gradient of a relu: that of its output, dy + more, where the output is above 0. Where the output has had something
// added to it, `base`, it is compared with that instead. One invocation 4 channels of a row.
//
//   dy, y, base  [rows][..._stride] vec4s, of which `channels` from ..._offset on take part
//   more, out    [rows][channels] vec4s
struct Params {
    channels: u32,
    dy_offset: u32,
    dy_stride: u32,
    y_offset: u32,
    y_stride: u32,
    has_more: u32,
    has_base: u32,
    base_offset: u32,
    base_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> base: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> more: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels {
        return;
    }
    var least = vec4(0.0);
    if params.has_base != 0u {
        least = base[params.base_offset + id.y * params.base_stride + id.x];
    }
    let value = y[params.y_offset + id.y * params.y_stride + id.x];
    var gradient = dy[params.dy_offset + id.y * params.dy_stride + id.x];
    if params.has_more != 0u {
        gradient += more[id.y * params.channels + id.x];
    }
    out[id.y * params.channels + id.x] = select(vec4(0.0), gradient, value > least);
}
