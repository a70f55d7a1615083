// Depthwise convolution (each channel with a kernel of its own), bias, activation: Conv2d with groups = channels. One
// invocation 4 channels of an output pixel.
//
//   x       [batch][height][width][channels] vec4s
//   weight  [kernel * kernel][channels] vec4s
//   bias    [channels] vec4s
//   out     [batch][out_height][out_width][channels] vec4s
#import activation
#import activation_storage
#import pixel

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
    slope: f32,
    ceiling: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<Output>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.out_height, params.out_width, params.channels);
    if pixel.x >= params.out_width {
        return;
    }
    var sum = bias[pixel.channel];
    for (var tap_y = 0u; tap_y < params.kernel; tap_y++) {
        // Positions above or left of the image wrap around to huge numbers and fail the same comparison.
        let y = pixel.y * params.stride + tap_y - params.padding;
        if y >= params.height {
            continue;
        }
        for (var tap_x = 0u; tap_x < params.kernel; tap_x++) {
            let column = pixel.x * params.stride + tap_x - params.padding;
            if column >= params.width {
                continue;
            }
            let source = (pixel.image * params.height + y) * params.width + column;
            let value = from_input(x[source * params.channels + pixel.channel]);
            sum += value * weight[(tap_y * params.kernel + tap_x) * params.channels + pixel.channel];
        }
    }
    let activated = activate(sum, params.slope, params.ceiling);
    out[pixel.index * params.channels + pixel.channel] = to_output(activated);
}
