// Winograd F(2x2, 3x3), step 3 of 3: the 16 products of a patch become 2 x 2 output pixels, A^T m A. One invocation
// some channels of a patch.
#import winograd_pixels

alias Line = array<Channels, 4>;
alias Pair = array<Channels, 2>;

// A^T m.
fn transform(m: Line) -> Pair {
    return Pair(m[0] + m[1] + m[2], m[1] - m[2] - m[3]);
}

fn transformed_row(place: Place, row: u32) -> Pair {
    return transform(Line(
        load(place, 4u * row),
        load(place, 4u * row + 1u),
        load(place, 4u * row + 2u),
        load(place, 4u * row + 3u),
    ));
}

fn store_column(place: Place, right: u32, m: Line, bias: Channels) {
    let values = transform(m);
    store(place, 1u, right, values[1] + bias);
    store(place, 0u, right, values[0] + bias);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let place = place_of(id, 2u);
    let bias = load_bias(place);
    let r_0 = transformed_row(place, 0u);
    let r_1 = transformed_row(place, 1u);
    let r_2 = transformed_row(place, 2u);
    let r_3 = transformed_row(place, 3u);
    store_column(place, 1u, Line(r_0[1], r_1[1], r_2[1], r_3[1]), bias);
    store_column(place, 0u, Line(r_0[0], r_1[0], r_2[0], r_3[0]), bias);
}
