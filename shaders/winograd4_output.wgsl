// Winograd F(4x4, 3x3), step 3 of 3: the 36 products of a patch become 4 x 4 output pixels, A^T m A. One invocation
// some channels of a patch.
#import winograd_pixels
#import winograd4_points

alias Line = array<Channels, 6>;
alias Quad = array<Channels, 4>;

// A^T m: row i of A^T is the points to the power i.
fn transform(m: Line) -> Quad {
    let sum_p = m[1] + m[2];
    let difference_p = P * (m[1] - m[2]);
    let sum_q = m[3] + m[4];
    let difference_q = Q * (m[3] - m[4]);
    return Quad(
        m[0] + sum_p + sum_q,
        difference_p + difference_q,
        P_2 * sum_p + Q_2 * sum_q,
        P_2 * difference_p + Q_2 * difference_q + m[5],
    );
}

fn transformed_row(place: Place, row: u32) -> Quad {
    return transform(Line(
        load(place, 6u * row),
        load(place, 6u * row + 1u),
        load(place, 6u * row + 2u),
        load(place, 6u * row + 3u),
        load(place, 6u * row + 4u),
        load(place, 6u * row + 5u),
    ));
}

fn store_column(place: Place, right: u32, m: Line, bias: Channels) {
    let values = transform(m);
    store(place, 3u, right, values[3] + bias);
    store(place, 2u, right, values[2] + bias);
    store(place, 1u, right, values[1] + bias);
    store(place, 0u, right, values[0] + bias);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let place = place_of(id, 4u);
    let bias = load_bias(place);
    let r_0 = transformed_row(place, 0u);
    let r_1 = transformed_row(place, 1u);
    let r_2 = transformed_row(place, 2u);
    let r_3 = transformed_row(place, 3u);
    let r_4 = transformed_row(place, 4u);
    let r_5 = transformed_row(place, 5u);
    store_column(place, 3u, Line(r_0[3], r_1[3], r_2[3], r_3[3], r_4[3], r_5[3]), bias);
    store_column(place, 2u, Line(r_0[2], r_1[2], r_2[2], r_3[2], r_4[2], r_5[2]), bias);
    store_column(place, 1u, Line(r_0[1], r_1[1], r_2[1], r_3[1], r_4[1], r_5[1]), bias);
    store_column(place, 0u, Line(r_0[0], r_1[0], r_2[0], r_3[0], r_4[0], r_5[0]), bias);
}
