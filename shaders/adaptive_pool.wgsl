// Mean over the windows of torch.nn.functional.adaptive_avg_pool2d: output i of n covers floor(size i / n) ..
// ceil(size (i + 1) / n). One invocation 4 channels of an output pixel.
//
//   x    [batch][size][size][stride] vec4s, the first `channels` of each pixel are read
//   out  [batch][out_size][out_size][out_stride] vec4s, the first `channels` of each pixel are written
#import activation_storage
#import pixel

struct Params {
    size: u32,
    stride: u32,
    channels: u32,
    out_size: u32,
    out_stride: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;

fn window(position: u32) -> vec2<u32> {
    let first = params.size * position / params.out_size;
    let end = (params.size * (position + 1u) + params.out_size - 1u) / params.out_size;
    return vec2(first, end);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.out_size, params.out_size, params.channels);
    if pixel.x >= params.out_size {
        return;
    }
    let across = window(pixel.x);
    let down = window(pixel.y);
    var sum = vec4(0.0);
    for (var y = down.x; y < down.y; y++) {
        for (var column = across.x; column < across.y; column++) {
            sum += x[((pixel.image * params.size + y) * params.size + column) * params.stride + pixel.channel];
        }
    }
    let count = (down.y - down.x) * (across.y - across.x);
    out[pixel.index * params.out_stride + pixel.channel] = to_output(sum / f32(count));
}
