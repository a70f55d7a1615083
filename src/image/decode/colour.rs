//! From other models of colour to RGB, with Pillow's arithmetic.

/// Inks, 0 for none and 255 for full, to RGB.
pub(super) fn rgb_from_cmyk([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let white = 255 - black;
    [cyan, magenta, yellow].map(|ink| white - scaled(ink, white))
}

/// `value * factor / 255`, rounded as in Pillow; at most `factor`.
fn scaled(value: u8, factor: u8) -> u8 {
    let product = u32::from(value) * u32::from(factor) + 128;
    ((product + (product >> 8)) >> 8) as u8
}

/// Full-range YCbCr of JPEG (ITU-R 601) to RGB, to the nearest.
pub(super) fn rgb_from_ycbcr([luma, blue, red]: [u8; 3]) -> [u8; 3] {
    let (luma, blue, red) = (f32::from(luma), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    [luma + 1.402 * red, luma - 0.344_136 * blue - 0.714_136 * red, luma + 1.772 * blue]
        .map(|value| value.round() as u8)
}

/// A colour that was multiplied by its opacity, without that.
pub(super) fn unmultiplied(colour: [u8; 3], alpha: u8) -> [u8; 3] {
    match alpha {
        0 => [0; 3],
        _ => colour.map(|value| (u32::from(value) * 255 / u32::from(alpha)).min(255) as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ink_is_scaled_to_the_nearest() {
        for value in 0..=255 {
            for factor in 0..=255 {
                let exact = f64::from(value) * f64::from(factor) / 255.0;
                assert_eq!(scaled(value, factor), exact.round() as u8, "{value} of {factor}");
            }
        }
    }

    #[test]
    fn primary_colours() {
        assert_eq!(rgb_from_ycbcr([255, 128, 128]), [255; 3]);
        assert_eq!(rgb_from_ycbcr([76, 85, 255]), [254, 0, 0]);
        assert_eq!(rgb_from_cmyk([255, 0, 0, 0]), [0, 255, 255]);
        assert_eq!(rgb_from_cmyk([0, 0, 0, 255]), [0; 3]);
    }

    #[test]
    fn opacity_is_taken_out() {
        assert_eq!(unmultiplied([0, 64, 128], 128), [0, 127, 255]);
        assert_eq!(unmultiplied([9, 9, 9], 0), [0; 3]);
        assert_eq!(unmultiplied([9, 200, 255], 255), [9, 200, 255]);
    }
}
