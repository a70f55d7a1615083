//! How bright photographs are, and what brings them to one light.

use super::fit::luminance;
use crate::config::Light;
use ::image::RgbImage;

/// The shares of a photograph's pixels that are darker than the lower and the upper end of its range, and than its
/// median. What fills less than a tenth of a photograph does not count, a defect for example.
const SHARES: [f64; 3] = [0.1, 0.9, 0.5];

impl Light {
    /// Most that values are multiplied by, and one over it least.
    pub(crate) const MOST_GAIN: f32 = 2.0;

    /// The light of a photograph.
    pub fn of(photograph: &RgbImage) -> Self {
        let mut counts = [0_u32; 256];
        for pixel in photograph.pixels() {
            counts[luminance(pixel.0) as usize] += 1;
        }
        let [low, high, level] = Self::ranks(photograph.width() * photograph.height()).map(|rank| {
            let mut up_to = 0;
            let reaches = |count: &u32| {
                up_to += count;
                rank < up_to
            };
            counts.iter().position(reaches).unwrap_or_default() as f32 / 255.0
        });
        Self { level, contrast: high - low }
    }

    /// Of as many luminances in rising order, the places of the lower and the upper end of the range and of the median.
    pub(crate) fn ranks(pixels: u32) -> [u32; 3] {
        SHARES.map(|share| (share * f64::from(pixels.saturating_sub(1))) as u32)
    }

    /// The gain and the offset that bring values from 0 to 1 of a photograph in another light to this one.
    pub(crate) fn change_from(self, other: Self) -> [f32; 2] {
        let gain = match other.contrast {
            0.0 => 1.0,
            contrast => (self.contrast / contrast).clamp(1.0 / Self::MOST_GAIN, Self::MOST_GAIN),
        };
        [gain, self.level - gain * other.level]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;

    /// From Pillow: `Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))`.
    #[test]
    fn luminances_are_pillows() {
        let colours = [[255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [10, 200, 30], [127, 128, 129]];
        assert_eq!(colours.map(luminance), [255, 76, 150, 29, 124, 128]);
    }

    /// By hand: of the values 0, 10, .. 100 the second is the lower end, the tenth the upper, the sixth the median.
    #[test]
    fn a_photograph_is_brought_to_another_ones_light() {
        let photograph = RgbImage::from_fn(11, 1, |x, _| Rgb([10 * x as u8; 3]));
        let light = Light::of(&photograph);
        assert_eq!(light, Light { level: 50.0 / 255.0, contrast: 80.0 / 255.0 });
        let wanted = Light { level: 0.4, contrast: 120.0 / 255.0 };
        let [gain, offset] = wanted.change_from(light);
        assert!((gain - 1.5).abs() < 1e-6 && (gain * light.level + offset - 0.4).abs() < 1e-6);
        assert_eq!(wanted.change_from(Light { contrast: 0.01, ..light })[0], Light::MOST_GAIN);
        assert_eq!(wanted.change_from(Light { level: 0.4, contrast: 0.0 }), [1.0, 0.0], "nothing to stretch");
    }
}
