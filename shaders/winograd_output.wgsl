// Winograd F(2x2, 3x3), step 3 of 3: the 16 products of a patch become 2 x 2 output pixels, A^T m A, then bias,
// activation and residual as in shared/matmul.wgsl. One invocation 4 channels of a patch.
//
//   products  [16][batch * tiles_down * tiles_across][channels] vec4s
//   bias      [channels] vec4s, if there is one
//   residual  [batch][height][width][channels] vec4s
//   out       [batch][height][width][channels] vec4s
#import activation

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    tiles_down: u32,
    tiles_across: u32,
    // vec4s between one position of a patch and the next.
    plane: u32,
    has_bias: u32,
    residual_kind: u32,
    slope: f32,
    ceiling: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<vec4<f32>>;

fn store(image: u32, y: u32, column: u32, channel: u32, sum: vec4<f32>) {
    if y >= params.height || column >= params.width {
        return;
    }
    let index = ((image * params.height + y) * params.width + column) * params.channels + channel;
    var value = sum;
    if params.has_bias != 0u {
        value += bias[channel];
    }
    if params.residual_kind == RESIDUAL_BEFORE_ACTIVATION {
        value += residual[index];
    }
    value = activate(value, params.slope, params.ceiling);
    if params.residual_kind == RESIDUAL_AFTER_ACTIVATION {
        value += residual[index];
    }
    out[index] = value;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let tile_x = id.x / params.channels;
    let image = id.y / params.tiles_down;
    let y = 2u * (id.y % params.tiles_down);
    let column = 2u * tile_x;
    let first = (id.y * params.tiles_across + tile_x) * params.channels + channel;

    // Row by row: the horizontal transform gives 2 values, the vertical one adds them to the 2 output rows.
    var top = array<vec4<f32>, 2>();
    var bottom = array<vec4<f32>, 2>();
    for (var row = 0u; row < 4u; row++) {
        let m_0 = products[first + (4u * row) * params.plane];
        let m_1 = products[first + (4u * row + 1u) * params.plane];
        let m_2 = products[first + (4u * row + 2u) * params.plane];
        let m_3 = products[first + (4u * row + 3u) * params.plane];
        let left = m_0 + m_1 + m_2;
        let right = m_1 - m_2 - m_3;
        // A^T is (1 1 1 0) over (0 1 -1 -1).
        let top_weight = select(1.0, 0.0, row == 3u);
        let bottom_weight = select(select(-1.0, 1.0, row == 1u), 0.0, row == 0u);
        top[0] += top_weight * left;
        top[1] += top_weight * right;
        bottom[0] += bottom_weight * left;
        bottom[1] += bottom_weight * right;
    }
    store(image, y, column, channel, top[0]);
    store(image, y, column + 1u, channel, top[1]);
    store(image, y + 1u, column, channel, bottom[0]);
    store(image, y + 1u, column + 1u, channel, bottom[1]);
}
