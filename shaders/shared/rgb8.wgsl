// Pixels of 8-bit RGBA, red in the lowest byte.
fn unpack_rgb(pixel: u32) -> vec3<u32> {
    return (vec3(pixel) >> vec3(0u, 8u, 16u)) & vec3(255u);
}

// Red, green and blue from 0 to 1.
fn rgb_of(pixel: u32) -> vec3<f32> {
    return vec3<f32>(unpack_rgb(pixel)) / 255.0;
}
