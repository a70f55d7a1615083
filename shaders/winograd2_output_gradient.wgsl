// The gradient of the weights of a 3 x 3 convolution by Winograd's F(2x2, 3x3), step 1 of 2: the gradient of the
// output, in squares of 2 x 2 pixels, back through the output transform, A dy A^T. See shared/winograd_patches.wgsl for
// the bindings; step 2 is winograd2_weights_gradient.wgsl.
#import winograd2_patches

fn transform(d: array<Channels, 2>) -> Line {
    return Line(d[0], d[0] + d[1], d[0] - d[1], -d[1]);
}

fn transformed_column(place: Place, right: u32) -> Line {
    return transform(array(load_pixel(place, 0u, right), load_pixel(place, 1u, right)));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.tiles_across * params.channels {
        return;
    }
    let place = place_of(id, 2u);
    let c_0 = transformed_column(place, 0u);
    let c_1 = transformed_column(place, 1u);
    store_row(place, 0u, transform(array(c_0[0], c_1[0])));
    store_row(place, 1u, transform(array(c_0[1], c_1[1])));
    store_row(place, 2u, transform(array(c_0[2], c_1[2])));
    store_row(place, 3u, transform(array(c_0[3], c_1[3])));
}
