// Winograd F(4x4, 3x3), step 1 of 3: as winograd2_input, with 6 x 6 patches, 4 apart, of 36 positions.
#import winograd4_patches

// B^T d: its rows are the coefficients of the products of (x - point) over all points but one.
fn transform(d: Line) -> Line {
    let even_p = d[4] - Q_2 * d[2];
    let odd_p = P * (d[3] - Q_2 * d[1]);
    let even_q = d[4] - P_2 * d[2];
    let odd_q = Q * (d[3] - P_2 * d[1]);
    return Line(
        P_2 * Q_2 * d[0] - (P_2 + Q_2) * d[2] + d[4],
        even_p + odd_p,
        even_p - odd_p,
        even_q + odd_q,
        even_q - odd_q,
        P_2 * Q_2 * d[1] - (P_2 + Q_2) * d[3] + d[5],
    );
}

fn transformed_column(place: Place, right: u32) -> Line {
    return transform(Line(
        load(place, 0u, right),
        load(place, 1u, right),
        load(place, 2u, right),
        load(place, 3u, right),
        load(place, 4u, right),
        load(place, 5u, right),
    ));
}

// Indices are constants throughout: drivers keep such arrays in registers.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let place = place_of(id, 4u);
    let c_0 = transformed_column(place, 0u);
    let c_1 = transformed_column(place, 1u);
    let c_2 = transformed_column(place, 2u);
    let c_3 = transformed_column(place, 3u);
    let c_4 = transformed_column(place, 4u);
    let c_5 = transformed_column(place, 5u);
    store_row(place, 0u, transform(Line(c_0[0], c_1[0], c_2[0], c_3[0], c_4[0], c_5[0])));
    store_row(place, 1u, transform(Line(c_0[1], c_1[1], c_2[1], c_3[1], c_4[1], c_5[1])));
    store_row(place, 2u, transform(Line(c_0[2], c_1[2], c_2[2], c_3[2], c_4[2], c_5[2])));
    store_row(place, 3u, transform(Line(c_0[3], c_1[3], c_2[3], c_3[3], c_4[3], c_5[3])));
    store_row(place, 4u, transform(Line(c_0[4], c_1[4], c_2[4], c_3[4], c_4[4], c_5[4])));
    store_row(place, 5u, transform(Line(c_0[5], c_1[5], c_2[5], c_3[5], c_4[5], c_5[5])));
}
