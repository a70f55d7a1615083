// Gradient of adaptive_pool.wgsl, added to what is there: each pixel gathers from the windows it lies in. One
// invocation 4 channels of a pixel.
//
//   dy   [batch][out_size][out_size][dy_stride] vec4s, the first `channels` of each pixel are read
//   out  [batch][size][size][stride] vec4s, the first `channels` of each pixel are added to
struct Params {
    size: u32,
    stride: u32,
    channels: u32,
    out_size: u32,
    dy_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

// First and last window that a pixel lies in.
fn windows(place: u32) -> vec2<u32> {
    let last = ((place + 1u) * params.out_size - 1u) / params.size;
    return vec2(place * params.out_size / params.size, min(last, params.out_size - 1u));
}

fn length_of(window: u32) -> u32 {
    let first = params.size * window / params.out_size;
    return (params.size * (window + 1u) + params.out_size - 1u) / params.out_size - first;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.size * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let column = id.x / params.channels;
    let image = id.y / params.size;
    let down = windows(id.y % params.size);
    let across = windows(column);
    var sum = vec4(0.0);
    for (var y = down.x; y <= down.y; y++) {
        for (var x = across.x; x <= across.y; x++) {
            let pixel = (image * params.out_size + y) * params.out_size + x;
            sum += dy[pixel * params.dy_stride + channel] / f32(length_of(y) * length_of(x));
        }
    }
    out[(id.y * params.size + column) * params.stride + channel] += sum;
}
