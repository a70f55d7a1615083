// Winograd F(2x2, 3x3), step 0: weights, G g G^T. See shared/winograd_weights.wgsl for the bindings. One invocation
// transforms 4 output channels of one input channel.
#import winograd_weights

alias Line = array<vec4<f32>, 4>;

fn transform(g: array<vec4<f32>, 3>) -> Line {
    let even = 0.5 * (g[0] + g[2]);
    let odd = 0.5 * g[1];
    return Line(g[0], even + odd, even - odd, g[2]);
}

fn store_row(row: u32, input: u32, column: u32, values: Line) {
    store(4u * row, input, column, values[0]);
    store(4u * row + 1u, input, column, values[1]);
    store(4u * row + 2u, input, column, values[2]);
    store(4u * row + 3u, input, column, values[3]);
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
}
