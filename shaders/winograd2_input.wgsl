// Winograd F(2x2, 3x3), step 1 of 3 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015):
// every 4 x 4 patch d of the zero-padded image, 2 apart, becomes B^T d B. Step 2 multiplies each of the 16 positions of
// a patch as one matrix product over channels. One invocation some channels of a patch.
#import winograd2_patches

// B^T d.
fn transform(d: Line) -> Line {
    return Line(d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]);
}

fn transformed_column(place: Place, right: u32) -> Line {
    return transform(Line(
        load(place, 0u, right),
        load(place, 1u, right),
        load(place, 2u, right),
        load(place, 3u, right),
    ));
}

// Indices are constants throughout: drivers keep such arrays in registers.
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let place = place_of(id, 2u);
    let c_0 = transformed_column(place, 0u);
    let c_1 = transformed_column(place, 1u);
    let c_2 = transformed_column(place, 2u);
    let c_3 = transformed_column(place, 3u);
    store_row(place, 0u, transform(Line(c_0[0], c_1[0], c_2[0], c_3[0])));
    store_row(place, 1u, transform(Line(c_0[1], c_1[1], c_2[1], c_3[1])));
    store_row(place, 2u, transform(Line(c_0[2], c_1[2], c_2[2], c_3[2])));
    store_row(place, 3u, transform(Line(c_0[3], c_1[3], c_2[3], c_3[3])));
}
