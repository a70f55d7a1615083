// Gradient of project.wgsl's weights and bias: sums over the pixels of each image, which adam.wgsl adds up. One
// invocation a channel of an image.
//
//   x    [batch][pixels][channels]
//   dy   [batch][pixels]
//   out  [batch][channels + 4]: the weights', the bias's, and three zeros
struct Params {
    pixels: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels + 4u {
        return;
    }
    var sum = 0.0;
    for (var pixel = id.y * params.pixels; pixel < (id.y + 1u) * params.pixels; pixel++) {
        var value = select(0.0, 1.0, id.x == params.channels);
        if id.x < params.channels {
            value = x[pixel * params.channels + id.x];
        }
        sum += value * dy[pixel];
    }
    out[id.y * (params.channels + 4u) + id.x] = sum;
}
