// The gradient of the weights of a 3 x 3 convolution by Winograd's F(2x2, 3x3), step 2 of 2: products m of transformed
// patches and gradients, summed over all tiles, back through the transform of weights, G^T m G. See
// shared/winograd_weights_gradient.wgsl for the bindings. One invocation 4 output channels of one input channel.
#import winograd_weights_gradient

alias Line = array<vec4<f32>, 4>;

fn transform(m: Line) -> array<vec4<f32>, 3> {
    let even = 0.5 * (m[1] + m[2]);
    return array(m[0] + even, 0.5 * (m[1] - m[2]), even + m[3]);
}

fn transformed_column(right: u32, input: u32, column: u32) -> array<vec4<f32>, 3> {
    return transform(Line(
        load(right, input, column),
        load(4u + right, input, column),
        load(8u + right, input, column),
        load(12u + right, input, column),
    ));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.columns {
        return;
    }
    let c_0 = transformed_column(0u, id.y, id.x);
    let c_1 = transformed_column(1u, id.y, id.x);
    let c_2 = transformed_column(2u, id.y, id.x);
    let c_3 = transformed_column(3u, id.y, id.x);
    store_row(0u, id.y, id.x, transform(Line(c_0[0], c_1[0], c_2[0], c_3[0])));
    store_row(1u, id.y, id.x, transform(Line(c_0[1], c_1[1], c_2[1], c_3[1])));
    store_row(2u, id.y, id.x, transform(Line(c_0[2], c_1[2], c_2[2], c_3[2])));
}
