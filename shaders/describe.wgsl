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

// Mean of the 3 x 3 pixels around one; those outside count as 0.
fn pooled(image: u32, y: u32, column: u32, channel: u32) -> vec4<f32> {
    var sum = vec4(0.0);
    for (var down = 0u; down < 3u; down++) {
        for (var right = 0u; right < 3u; right++) {
            // Pixels above or left of the image wrap around to huge numbers.
            let row = y + down - 1u;
            let place = column + right - 1u;
            let inside = row < params.height && place < params.width;
            let first = (image * params.height + min(row, params.height - 1u)) * params.width;
            let pixel = first + min(place, params.width - 1u);
            sum += select(vec4(0.0), from_input(x[pixel * params.channels + channel]), inside);
        }
    }
    return sum / 9.0;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.grid, params.grid, params.channels);
    if pixel.x >= params.grid {
        return;
    }
    let down = taps_half_pixel(pixel.y, params.height, params.grid);
    let across = taps_half_pixel(pixel.x, params.width, params.grid);
    let value = interpolate(
        pooled(pixel.image, down.low, across.low, pixel.channel),
        pooled(pixel.image, down.low, across.high, pixel.channel),
        pooled(pixel.image, down.high, across.low, pixel.channel),
        pooled(pixel.image, down.high, across.high, pixel.channel),
        vec2(across.weight, down.weight),
    );
    out[pixel.index * params.channels + pixel.channel] =
        (value - center[pixel.channel]) * center[params.channels + pixel.channel];
}
