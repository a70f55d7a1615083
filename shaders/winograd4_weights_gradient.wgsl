// The gradient of the weights of a 3 x 3 convolution by Winograd's F(4x4, 3x3), step 2 of 2: as
// winograd2_weights_gradient, with 36 positions.
#import winograd_weights_gradient
#import winograd4_points

alias Line = array<vec4<f32>, 6>;

// G^T m, column i of which is the powers of point i over the product of its differences from all others.
fn transform(m: Line) -> array<vec4<f32>, 3> {
    let sum_p = (m[1] + m[2]) / AT_P;
    let difference_p = (m[1] - m[2]) / AT_P;
    let sum_q = (m[3] + m[4]) / AT_Q;
    let difference_q = (m[3] - m[4]) / AT_Q;
    return array(
        m[0] / AT_0 + sum_p + sum_q,
        P * difference_p + Q * difference_q,
        P_2 * sum_p + Q_2 * sum_q + m[5],
    );
}

fn transformed_column(right: u32, input: u32, column: u32) -> array<vec4<f32>, 3> {
    return transform(Line(
        load(right, input, column),
        load(6u + right, input, column),
        load(12u + right, input, column),
        load(18u + right, input, column),
        load(24u + right, input, column),
        load(30u + right, input, column),
    ));
}

// Indices are constants throughout: drivers keep such arrays in registers.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.columns {
        return;
    }
    let c_0 = transformed_column(0u, id.y, id.x);
    let c_1 = transformed_column(1u, id.y, id.x);
    let c_2 = transformed_column(2u, id.y, id.x);
    let c_3 = transformed_column(3u, id.y, id.x);
    let c_4 = transformed_column(4u, id.y, id.x);
    let c_5 = transformed_column(5u, id.y, id.x);
    store_row(0u, id.y, id.x, transform(Line(c_0[0], c_1[0], c_2[0], c_3[0], c_4[0], c_5[0])));
    store_row(1u, id.y, id.x, transform(Line(c_0[1], c_1[1], c_2[1], c_3[1], c_4[1], c_5[1])));
    store_row(2u, id.y, id.x, transform(Line(c_0[2], c_1[2], c_2[2], c_3[2], c_4[2], c_5[2])));
}
