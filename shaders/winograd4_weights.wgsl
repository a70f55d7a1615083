// Winograd F(4x4, 3x3), step 0: weights, G g G^T. See shared/winograd_weights.wgsl for the bindings. One invocation
// transforms 4 output channels of one input channel.
#import winograd_weights
#import winograd4_points

alias Line = array<vec4<f32>, 6>;

fn transform(g: array<vec4<f32>, 3>) -> Line {
    let even_p = (g[0] + P_2 * g[2]) / AT_P;
    let odd_p = P * g[1] / AT_P;
    let even_q = (g[0] + Q_2 * g[2]) / AT_Q;
    let odd_q = Q * g[1] / AT_Q;
    return Line(g[0] / AT_0, even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, g[2]);
}

fn store_row(row: u32, input: u32, column: u32, values: Line) {
    store(6u * row, input, column, values[0]);
    store(6u * row + 1u, input, column, values[1]);
    store(6u * row + 2u, input, column, values[2]);
    store(6u * row + 3u, input, column, values[3]);
    store(6u * row + 4u, input, column, values[4]);
    store(6u * row + 5u, input, column, values[5]);
}

// Indices are constants throughout: drivers keep such arrays in registers.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.columns {
        return;
    }
    let c_0 = transform(load_column(0u, id.y, id.x));
    let c_1 = transform(load_column(1u, id.y, id.x));
    let c_2 = transform(load_column(2u, id.y, id.x));
    store_row(0u, id.y, id.x, transform(array(c_0[0], c_1[0], c_2[0])));
    store_row(1u, id.y, id.x, transform(array(c_0[1], c_1[1], c_2[1])));
    store_row(2u, id.y, id.x, transform(array(c_0[2], c_1[2], c_2[2])));
    store_row(3u, id.y, id.x, transform(array(c_0[3], c_1[3], c_2[3])));
    store_row(4u, id.y, id.x, transform(array(c_0[4], c_1[4], c_2[4])));
    store_row(5u, id.y, id.x, transform(array(c_0[5], c_1[5], c_2[5])));
}
