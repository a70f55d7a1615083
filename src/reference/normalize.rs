use super::Maps;

/// 8-bit RGBA pixels, red in the lowest byte, to `(x / 255 - mean) / deviation` and a zero channel: torchvision's
/// `ToTensor`, then `Normalize`.
pub fn normalize(pixels: &[u32], [batch, height, width]: [usize; 3], mean: [f32; 3], deviation: [f32; 3]) -> Maps {
    Maps::from_fn([batch, height, width, 4], |[image, y, x, channel]| {
        let bytes = pixels[(image * height + y) * width + x].to_le_bytes();
        match channel {
            3 => 0.0,
            _ => (f64::from(bytes[channel]) / 255.0 - f64::from(mean[channel])) / f64::from(deviation[channel]),
        }
    })
}
