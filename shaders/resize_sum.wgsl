// Sums bilinear resizes (align_corners=True) of several square images to one size, then applies a relu: a 1 x 1
// convolution of concatenated resizes, once the convolution has been done at each image's own size. One invocation 4
// channels of an output pixel.
//
//   x     the images one after another, each [batch][side][side][channels] vec4s
//   out   [batch][out_size][out_size][channels] vec4s
#import bilinear
#import pixel

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
    let pixel = pixel_of(id, params.out_size, params.out_size, params.channels);
    if pixel.x >= params.out_size {
        return;
    }
    var sum = vec4(0.0);
    var first = 0u;
    for (var i = 0u; i < params.count; i++) {
        let side = params.sides[i / 4u][i % 4u];
        let down = taps_align_corners(pixel.y, side, params.out_size);
        let across = taps_align_corners(pixel.x, side, params.out_size);
        let corners = corners_of(first + pixel.image * side * side, side, down, across);
        let at = corners.pixel * params.channels + pixel.channel;
        sum += interpolate(x[at.x], x[at.y], x[at.z], x[at.w], corners.share);
        first += params.batch * side * side;
    }
    out[pixel.index * params.channels + pixel.channel] = max(sum, vec4(0.0));
}
