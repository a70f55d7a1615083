// Depthwise convolution (each channel with a kernel of its own), bias, activation: Conv2d with groups = channels. One
// invocation 4 channels of 4 output pixels side by side: a weight is loaded once for them, and of the inputs under a
// tap three are those under the tap before.
//
//   x       [batch][height][width][channels] vec4s; with ROWS defined a row texture of all pixels
//   weight  [kernel * kernel][channels] vec4s; with WEIGHT_TEXTURE defined a texture of as many texels
//   bias    [channels] vec4s
//   out     [batch][out_height][out_width][channels] vec4s; with ROWS defined a row texture of all pixels
#import activation
#import activation_storage
#import pixel
#import row_texture

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
#ifdef WEIGHT_TEXTURE
@group(0) @binding(2) var weight: texture_storage_2d_array<rgba32float, read>;

fn weight_at(tap: u32, channel: u32) -> vec4<f32> {
    return textureLoad(weight, vec2(channel, tap), 0);
}
#else
@group(0) @binding(2) var<storage, read> weight: array<vec4<f32>>;

fn weight_at(tap: u32, channel: u32) -> vec4<f32> {
    return weight[tap * params.channels + channel];
}
#endif
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;

#ifdef ROWS
@group(0) @binding(1) var x: texture_storage_2d_array<rgba32float, read>;
@group(0) @binding(4) var out: texture_storage_2d_array<rgba32float, write>;

fn input_at(pixel: u32, channel: u32) -> vec4<f32> {
    let place = place_of_row(pixel);
    return textureLoad(x, vec2(channel, place.y), place.x);
}

fn set_output(pixel: u32, channel: u32, value: vec4<f32>) {
    let place = place_of_row(pixel);
    textureStore(out, vec2(channel, place.y), place.x, value);
}
#else
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(4) var<storage, read_write> out: array<Output>;

fn input_at(pixel: u32, channel: u32) -> vec4<f32> {
    return from_input(x[pixel * params.channels + channel]);
}

fn set_output(pixel: u32, channel: u32, value: vec4<f32>) {
    out[pixel * params.channels + channel] = to_output(value);
}
#endif

// 4 channels of the input where a tap meets the first output pixel, and columns right of it; zero in the padding.
fn load(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    // Positions above or left of the image wrap around to huge numbers and fail the same comparisons.
    let inside = y < params.height && column < params.width;
    let row = image * params.height + min(y, params.height - 1u);
    let source = row * params.width + min(column, params.width - 1u);
    return select(vec4(0.0), input_at(source, channel), inside);
}

fn store(pixel: Pixel, right: u32, sum: vec4<f32>) {
    if pixel.x + right < params.out_width {
        set_output(pixel.index + right, pixel.channel, activate(sum, params.slope, params.ceiling));
    }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let strips = (params.out_width + 3u) / 4u;
    var pixel = pixel_of(id, params.out_height, strips, params.channels);
    if pixel.x >= strips {
        return;
    }
    pixel.x *= 4u;
    pixel.index = id.y * params.out_width + pixel.x;
    let stride = params.stride;
    let first_column = pixel.x * stride - params.padding;
    var sum_0 = bias[pixel.channel];
    var sum_1 = sum_0;
    var sum_2 = sum_0;
    var sum_3 = sum_0;
    for (var tap_y = 0u; tap_y < params.kernel; tap_y++) {
        let y = pixel.y * stride + tap_y - params.padding;
        // Taps that are a stride apart share inputs.
        for (var phase = 0u; phase < stride; phase++) {
            var column = first_column + phase;
            var value_0 = load(pixel.image, y, column, pixel.channel);
            var value_1 = load(pixel.image, y, column + stride, pixel.channel);
            var value_2 = load(pixel.image, y, column + 2u * stride, pixel.channel);
            for (var tap_x = phase; tap_x < params.kernel; tap_x += stride) {
                let value_3 = load(pixel.image, y, column + 3u * stride, pixel.channel);
                let tap = weight_at(tap_y * params.kernel + tap_x, pixel.channel);
                sum_0 = fma(value_0, tap, sum_0);
                sum_1 = fma(value_1, tap, sum_1);
                sum_2 = fma(value_2, tap, sum_2);
                sum_3 = fma(value_3, tap, sum_3);
                value_0 = value_1;
                value_1 = value_2;
                value_2 = value_3;
                column += stride;
            }
        }
    }
    store(pixel, 0u, sum_0);
    store(pixel, 1u, sum_1);
    store(pixel, 2u, sum_2);
    store(pixel, 3u, sum_3);
}
