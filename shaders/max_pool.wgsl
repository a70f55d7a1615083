// Maximum over 3 x 3 windows, stride 2, padding 1: MaxPool2d(3, stride=2, padding=1). One invocation 4 channels of an
// output pixel.
//
//   x    [batch][height][width][channels] vec4s
//   out  [batch][out_height][out_width][channels] vec4s
#import activation_storage
#import pixel

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(2) var<storage, read_write> out: array<Output>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.out_height, params.out_width, params.channels);
    if pixel.x >= params.out_width {
        return;
    }
    // The window's centre always lies in the image, its border may not: repeating a sample changes no maximum.
    var largest = vec4(-3.402823e38);
    for (var dy = 0u; dy < 3u; dy++) {
        let y = clamp(2u * pixel.y + dy, 1u, params.height) - 1u;
        for (var dx = 0u; dx < 3u; dx++) {
            let column = clamp(2u * pixel.x + dx, 1u, params.width) - 1u;
            let source = (pixel.image * params.height + y) * params.width + column;
            largest = max(largest, from_input(x[source * params.channels + pixel.channel]));
        }
    }
    out[pixel.index * params.channels + pixel.channel] = to_output(largest);
}
