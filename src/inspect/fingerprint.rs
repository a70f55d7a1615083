//! Whether two photographs are the same one.

use crate::image::RgbImage;
use ::image::imageops::{grayscale, thumbnail};
use serde::{Deserialize, Serialize};

/// Side of the small picture that stands for a photograph.
const SIDE: u32 = 32;
/// Pixels of that picture.
pub(crate) const FINGERPRINT_PIXELS: usize = (SIDE * SIDE) as usize;
/// The root of the mean squared difference, in grey levels, up to which two photographs count as one. JPEG of quality
/// 60 and a shrunk copy change up to 1.2; the nearest of 150 photographs of different parts differ by 3.2 (MVTec's
/// screws) and 6.3 (magnetic tiles).
const SAME: f64 = 1.5;

/// What a photograph looks like from afar: its brightness as 32 x 32 pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(Vec<u8>);

impl Fingerprint {
    /// The fingerprint of a photograph of any size.
    pub fn of(photograph: &RgbImage) -> Self {
        Self(grayscale(&thumbnail(photograph, SIDE, SIDE)).into_raw())
    }

    /// The brightness of each pixel, row by row.
    pub(crate) fn values(&self) -> impl Iterator<Item = f32> {
        self.0.iter().copied().map(f32::from)
    }

    /// The fingerprint with these [`values`](Self::values).
    pub(crate) fn of_values(values: &[f32]) -> Self {
        Self(values.iter().map(|value| *value as u8).collect())
    }

    /// Whether both are of the same photograph: of copies, be they stored anew with losses or in another size.
    pub fn is_same(&self, other: &Self) -> bool {
        let pairs = || self.0.iter().zip(&other.0).map(|(&a, &b)| f64::from(a) - f64::from(b));
        let count = self.0.len().max(1) as f64;
        // The mean tells most pairs apart already.
        self.0.len() == other.0.len()
            && (pairs().sum::<f64>() / count).abs() <= SAME
            && pairs().map(|difference| difference * difference).sum::<f64>() / count <= SAME * SAME
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;
    use ::image::codecs::jpeg::JpegEncoder;
    use ::image::imageops::{FilterType, resize};

    fn part(seed: u32) -> RgbImage {
        let wave = |at: u32, period: u32| ((at as f32 / period as f32).sin() * 60.0 + 128.0) as u8;
        RgbImage::from_fn(300, 200, |x, y| Rgb([wave(x, 9 + seed), wave(y, 11 + seed), wave(x + 2 * y, 23 + seed)]))
    }

    #[test]
    fn copies_are_the_same_and_other_parts_are_not() {
        let original = Fingerprint::of(&part(0));
        assert!(original.is_same(&original.clone()));
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 60).encode_image(&part(0)).expect("a picture");
        let stored_anew = ::image::load_from_memory(&jpeg).expect("a JPEG").into_rgb8();
        assert!(original.is_same(&Fingerprint::of(&stored_anew)));
        assert!(original.is_same(&Fingerprint::of(&resize(&part(0), 225, 150, FilterType::Lanczos3))));
        assert!(!original.is_same(&Fingerprint::of(&part(1))));
    }
}
