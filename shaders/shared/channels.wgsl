// What the 4 channels of a vec4 come to.
fn sum_of_channels(x: vec4<f32>) -> f32 {
    return (x.x + x.y) + (x.z + x.w);
}

fn least_of_channels(x: vec4<f32>) -> f32 {
    return min(min(x.x, x.y), min(x.z, x.w));
}
