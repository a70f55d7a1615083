use super::Maps;

/// 8-bit RGBA pixels, red in the lowest byte, to `(x / 255 - mean) / deviation` and a zero channel: torchvision's
/// `ToTensor`, then `Normalize`. Between the two each image's values are multiplied by its gain, its offset is added,
/// and what leaves 0 to 1 is clipped.
pub fn normalize(
    pixels: &[u32],
    [batch, height, width]: [usize; 3],
    change: &[[f64; 2]],
    mean: [f32; 3],
    deviation: [f32; 3],
) -> Maps {
    Maps::from_fn([batch, height, width, 4], |[image, y, x, channel]| {
        let bytes = pixels[(image * height + y) * width + x].to_le_bytes();
        match channel {
            3 => 0.0,
            _ => {
                let [gain, offset] = change[image];
                let lit = (gain * f64::from(bytes[channel]) / 255.0 + offset).clamp(0.0, 1.0);
                (lit - f64::from(mean[channel])) / f64::from(deviation[channel])
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::assert_close;
    use super::*;

    /// From torchvision's ToTensor and Normalize of the pixels (255, 0, 128) and (10, 200, 30); alpha does not matter.
    #[test]
    fn as_torchvision() {
        let pixels = [[255, 0, 128, 255], [10, 200, 30, 7]].map(u32::from_le_bytes);
        let out = normalize(&pixels, [1, 1, 2], &[[1.0, 0.0]], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
        let expected = [2.248_908, -2.035_714, 0.426_492, 0.0, -1.946_656, 1.465_686, -1.281_568, 0.0];
        assert_close(&out.values, &expected);
    }
}
