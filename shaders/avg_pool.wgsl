// Mean over 3 x 3 windows, stride 1, padding 1, zeros counted: avg_pool2d(3, 1, 1). One invocation 4 channels of a pixel.
//
//   x, out  [batch][height][width][channels] vec4s
#import activation_storage

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
    if id.x >= params.width * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let center_x = id.x / params.channels;
    let center_y = id.y % params.height;
    let image = id.y / params.height;
    var sum = vec4(0.0);
    for (var y = max(center_y, 1u) - 1u; y <= min(center_y + 1u, params.height - 1u); y++) {
        for (var source_x = max(center_x, 1u) - 1u; source_x <= min(center_x + 1u, params.width - 1u); source_x++) {
            sum += from_input(x[((image * params.height + y) * params.width + source_x) * params.channels + channel]);
        }
    }
    out[(id.y * params.width + center_x) * params.channels + channel] = sum / 9.0;
}
