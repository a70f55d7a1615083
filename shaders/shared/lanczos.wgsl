// One axis of Pillow's 8-bit Lanczos resize: weighted sums in fixed point, rounded to 8 bits.
#import rgb8

struct Window {
    // The first pixel under the window of an output pixel, and the place of its weight.
    first: u32,
    weight: u32,
}

// Fractional bits of a weight.
const PRECISION = 22u;

fn unpack(pixel: u32) -> vec3<i32> {
    return vec3<i32>(unpack_rgb(pixel));
}

fn pack(bytes: vec3<i32>) -> u32 {
    return u32(bytes.x) | (u32(bytes.y) << 8u) | (u32(bytes.z) << 16u) | (255u << 24u);
}

fn round_to_8_bits(sum: vec3<i32>) -> vec3<i32> {
    return clamp((sum + (1 << (PRECISION - 1u))) >> vec3(PRECISION), vec3(0), vec3(255));
}
