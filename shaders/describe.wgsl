// Features of a level as descriptors on the grid: 3 x 3 mean (torch.nn.functional.avg_pool2d, padding counted),
// bilinear resize (align_corners=False), and (x - mean) / deviation per channel. One invocation 4 channels of a
// position.
//
//   x       [batch][height][width][channels] vec4s, as f32 or packed f16
//   center  [2][channels] vec4s: mean, 1 / deviation
//   out     [batch][grid][grid][channels] vec4s
#import activation_storage
#import bilinear
#import pixel

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    grid: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(2) var<storage, read> center: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;

// Sums over the 3 x 3 pixels around each of 2 x 2 neighbours.
struct Sums {
    upper_left: vec4<f32>,
    upper_right: vec4<f32>,
    lower_left: vec4<f32>,
    lower_right: vec4<f32>,
}

// 0 outside the image; pixels above or left of it wrap around to huge numbers.
fn at(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    let inside = y < params.height && column < params.width;
    let first = (image * params.height + min(y, params.height - 1u)) * params.width;
    let pixel = first + min(column, params.width - 1u);
    return select(vec4(0.0), from_input(x[pixel * params.channels + channel]), inside);
}

// The sums around a pixel and its neighbours to the right and below: 16 loads, where each sum alone would take 9.
fn sums(image: u32, y: u32, column: u32, channel: u32) -> Sums {
    var sums = Sums();
    for (var down = 0u; down < 4u; down++) {
        let row = y + down - 1u;
        let a = at(image, row, column - 1u, channel);
        let b = at(image, row, column, channel);
        let c = at(image, row, column + 1u, channel);
        let d = at(image, row, column + 2u, channel);
        if down < 3u {
            sums.upper_left = sums.upper_left + a + b + c;
            sums.upper_right = sums.upper_right + b + c + d;
        }
        if down > 0u {
            sums.lower_left = sums.lower_left + a + b + c;
            sums.lower_right = sums.lower_right + b + c + d;
        }
    }
    return sums;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.grid, params.grid, params.channels);
    if pixel.x >= params.grid {
        return;
    }
    let down = taps_half_pixel(pixel.y, params.height, params.grid);
    let across = taps_half_pixel(pixel.x, params.width, params.grid);
    // At the last row and column, both taps are the same pixel.
    let around = sums(pixel.image, down.low, across.low, pixel.channel);
    let right = across.high > across.low;
    let upper = select(around.upper_left, around.upper_right, right);
    let lower_left = select(around.upper_left, around.lower_left, down.high > down.low);
    let lower_right = select(upper, select(around.lower_left, around.lower_right, right), down.high > down.low);
    let share = vec2(across.weight, down.weight);
    let value = interpolate(around.upper_left / 9.0, upper / 9.0, lower_left / 9.0, lower_right / 9.0, share);
    out[pixel.index * params.channels + pixel.channel] =
        (value - center[pixel.channel]) * center[params.channels + pixel.channel];
}
