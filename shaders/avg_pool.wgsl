// Mean over 3 x 3 windows, stride 1, padding 1, zeros counted: avg_pool2d(3, 1, 1). One invocation 4 channels of a
// pixel.
//
//   x, out  [batch][height][width][channels] vec4s
#import activation_storage
#import pixel

struct Params {
    height: u32,
    width: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<Input>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let pixel = pixel_of(id, params.height, params.width, params.channels);
    if pixel.x >= params.width {
        return;
    }
    var sum = vec4(0.0);
    for (var y = max(pixel.y, 1u) - 1u; y <= min(pixel.y + 1u, params.height - 1u); y++) {
        for (var column = max(pixel.x, 1u) - 1u; column <= min(pixel.x + 1u, params.width - 1u); column++) {
            let source = (pixel.image * params.height + y) * params.width + column;
            sum += from_input(x[source * params.channels + pixel.channel]);
        }
    }
    out[pixel.index * params.channels + pixel.channel] = sum / 9.0;
}
