// Sums bilinear resizes (align_corners=True) of several square images to one size, then applies a relu: a 1 x 1
// convolution of concatenated resizes, once the convolution has been done at each image's own size. One invocation 4
// channels of an output pixel.
//
//   x     the images one after another, each [batch][side][side][channels] vec4s
//   out   [batch][out_size][out_size][channels] vec4s
#import bilinear

struct Params {
    // Sides of the images; unused ones follow the last.
    sides: array<vec4<u32>, 2>,
    count: u32,
    batch: u32,
    out_size: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.out_size * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let out_x = id.x / params.channels;
    let out_y = id.y % params.out_size;
    let image = id.y / params.out_size;
    var sum = vec4(0.0);
    var first = 0u;
    for (var i = 0u; i < params.count; i++) {
        let side = params.sides[i / 4u][i % 4u];
        let across = taps_align_corners(out_x, side, params.out_size);
        let down = taps_align_corners(out_y, side, params.out_size);
        let top = first + (image * side + down.low) * side;
        let bottom = first + (image * side + down.high) * side;
        let upper = mix(
            x[(top + across.low) * params.channels + channel],
            x[(top + across.high) * params.channels + channel],
            across.weight,
        );
        let lower = mix(
            x[(bottom + across.low) * params.channels + channel],
            x[(bottom + across.high) * params.channels + channel],
            across.weight,
        );
        sum += mix(upper, lower, down.weight);
        first += params.batch * side * side;
    }
    out[(id.y * params.out_size + out_x) * params.channels + channel] = max(sum, vec4(0.0));
}
