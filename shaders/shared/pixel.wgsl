// What an invocation works on where it computes 4 channels of an output pixel.
struct Pixel {
    image: u32,
    y: u32,
    x: u32,
    channel: u32,
    // Which of all pixels of the batch it is.
    index: u32,
}

// The pixel of an invocation of a grid of (width * channels) x (batch * height), which may be wider than that: then the
// pixel's x is `width` or more, and it is none. Channels count vec4s.
fn pixel_of(id: vec3<u32>, height: u32, width: u32, channels: u32) -> Pixel {
    let x = id.x / channels;
    return Pixel(id.y / height, id.y % height, x, id.x % channels, id.y * width + x);
}
