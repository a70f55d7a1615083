// The gradient of the weights of a 3 x 3 convolution by Winograd's F(4x4, 3x3), step 1 of 2: as
// winograd2_output_gradient, with squares of 4 x 4 pixels and 36 positions.
#import winograd4_patches

alias Quad = array<Channels, 4>;

// A d: row i of A is the powers of point i.
fn transform(d: Quad) -> Line {
    let even_p = d[0] + P_2 * d[2];
    let odd_p = P * (d[1] + P_2 * d[3]);
    let even_q = d[0] + Q_2 * d[2];
    let odd_q = Q * (d[1] + Q_2 * d[3]);
    return Line(d[0], even_p + odd_p, even_p - odd_p, even_q + odd_q, even_q - odd_q, d[3]);
}

fn transformed_column(place: Place, right: u32) -> Line {
    return transform(Quad(
        load_pixel(place, 0u, right),
        load_pixel(place, 1u, right),
        load_pixel(place, 2u, right),
        load_pixel(place, 3u, right),
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
    store_row(place, 0u, transform(Quad(c_0[0], c_1[0], c_2[0], c_3[0])));
    store_row(place, 1u, transform(Quad(c_0[1], c_1[1], c_2[1], c_3[1])));
    store_row(place, 2u, transform(Quad(c_0[2], c_1[2], c_2[2], c_3[2])));
    store_row(place, 3u, transform(Quad(c_0[3], c_1[3], c_2[3], c_3[3])));
    store_row(place, 4u, transform(Quad(c_0[4], c_1[4], c_2[4], c_3[4])));
    store_row(place, 5u, transform(Quad(c_0[5], c_1[5], c_2[5], c_3[5])));
}
