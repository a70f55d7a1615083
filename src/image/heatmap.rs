//! Anomaly maps as pictures.

use super::fit::Frame;
use crate::{Error, Result};
use ::image::{Rgb, RgbImage};

/// The range of anomaly values that the colours span.
///
/// Values below and above get the first and the last colour, and so do -inf and inf; NaN gets the first. An empty range
/// (`high <= low`) is a step: the last colour above `low`, the first elsewhere, so that a flat map looks normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The value that gets the first colour.
    pub low: f32,
    /// The value that gets the last colour.
    pub high: f32,
}

impl Scale {
    /// Where `value` lies on the scale, 0 to 1.
    pub fn position(&self, value: f32) -> f32 {
        if self.high > self.low && value.is_finite() {
            // Halves, so that no difference of finite numbers overflows.
            let (value, low, high) = (value / 2.0, self.low / 2.0, self.high / 2.0);
            ((value - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            f32::from(value > self.low)
        }
    }
}

/// A map from the position on a [`Scale`] to a colour, in 256 steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColourMap {
    /// Dark blue through green to dark red: much contrast everywhere.
    #[default]
    Turbo,
    /// Dark violet through green to yellow: even in lightness, legible to the colour-blind.
    Viridis,
    /// Black through red to pale yellow: even in lightness.
    Inferno,
    /// Black to white.
    Grey,
}

impl ColourMap {
    /// The sRGB colour of a position from 0 to 1; positions outside get the colour of the nearer end.
    pub fn colour(&self, position: f32) -> [u8; 3] {
        let step = (position.clamp(0.0, 1.0) * 255.0).round() as u8;
        let gradient = match self {
            Self::Turbo => colorous::TURBO,
            Self::Viridis => colorous::VIRIDIS,
            Self::Inferno => colorous::INFERNO,
            Self::Grey => return [step; 3],
        };
        gradient.eval_rational(step.into(), 256).into_array()
    }

    /// All 256 colours, as 8-bit RGBA with red in the lowest byte.
    pub(crate) fn table(&self) -> [u32; 256] {
        std::array::from_fn(|step| {
            let [red, green, blue] = self.colour(step as f32 / 255.0);
            u32::from_le_bytes([red, green, blue, 255])
        })
    }
}

/// What was not inspected.
const UNSEEN: Rgb<u8> = Rgb([96; 3]);

/// Paints a map (row-major, `width` x `height` values) in the Turbo colour map, dark blue through green to dark red;
/// NaN, not inspected, is grey.
///
/// # Errors
/// [`Error::Input`] if `map` has not `width` x `height` values.
pub fn heatmap(map: &[f32], width: u32, height: u32, scale: Scale) -> Result<RgbImage> {
    ensure_size(map, width, height)?;
    let mut picture = RgbImage::new(width, height);
    for (pixel, &value) in picture.pixels_mut().zip(map) {
        *pixel = if value.is_nan() { UNSEEN } else { colour(scale.position(value)) };
    }
    Ok(picture)
}

/// Lays an anomaly map (size x size, row-major) as heat over the photograph it was computed from, at the photograph's
/// size; see [`paint_over`].
///
/// # Errors
/// [`Error::Input`] if `photograph` or `map` has another size than `frame` says.
pub fn overlay(photograph: &RgbImage, map: &[f32], frame: &Frame, scale: Scale, opacity: f32) -> Result<RgbImage> {
    frame.ensure_original(photograph)?;
    paint_over(photograph, &frame.to_original(map)?, scale, opacity)
}

/// Lays an anomaly map of the photograph's own size as heat over it. A value at the top of the scale covers the
/// photograph with `opacity` (0 to 1), lower ones in proportion less. Where the map is NaN, not inspected, the
/// photograph gets no heat and half its brightness.
///
/// # Errors
/// [`Error::Input`] if `map` has not a value for each of the photograph's pixels.
pub fn paint_over(photograph: &RgbImage, map: &[f32], scale: Scale, opacity: f32) -> Result<RgbImage> {
    ensure_size(map, photograph.width(), photograph.height())?;
    let mut picture = photograph.clone();
    for (pixel, &value) in picture.pixels_mut().zip(map) {
        if value.is_nan() {
            pixel.0 = pixel.0.map(|value| value / 2);
        } else {
            let position = scale.position(value);
            *pixel = blend(*pixel, colour(position), position * opacity.clamp(0.0, 1.0));
        }
    }
    Ok(picture)
}

fn ensure_size(map: &[f32], width: u32, height: u32) -> Result<()> {
    if u64::from(width) * u64::from(height) == map.len() as u64 {
        return Ok(());
    }
    Err(Error::Input {
        what: "map".to_owned(),
        expected: format!("{width} x {height} values"),
        found: format!("{} values", map.len()),
    })
}

fn colour(position: f32) -> Rgb<u8> {
    Rgb(ColourMap::Turbo.colour(position))
}

fn blend(under: Rgb<u8>, over: Rgb<u8>, opacity: f32) -> Rgb<u8> {
    let mix = |under: u8, over: u8| {
        let (under, over) = (f32::from(under), f32::from(over));
        (under + (over - under) * opacity).round() as u8
    };
    Rgb(std::array::from_fn(|channel| mix(under[channel], over[channel])))
}

#[cfg(test)]
mod tests {
    use super::super::Fit;
    use super::*;

    const UNIT: Scale = Scale { low: 0.0, high: 1.0 };

    #[test]
    fn positions() {
        let scale = Scale { low: -2.0, high: 6.0 };
        assert_eq!([-9.0, -2.0, 0.0, 6.0, 9.0].map(|value| scale.position(value)), [0.0, 0.0, 0.25, 1.0, 1.0]);
        assert_eq!([f32::NEG_INFINITY, f32::NAN, f32::INFINITY].map(|value| scale.position(value)), [0.0, 0.0, 1.0]);
        let widest = Scale { low: f32::MIN, high: f32::MAX };
        assert_eq!(widest.position(0.0), 0.5);
        for high in [3.0, 2.0, f32::NAN] {
            let step = Scale { low: 3.0, high };
            assert_eq!([2.0, 3.0, 4.0].map(|value| step.position(value)), [0.0, 0.0, 1.0]);
        }
    }

    #[test]
    fn turbo_colours() {
        let image = heatmap(&[0.0, 0.5, 1.0], 3, 1, UNIT).expect("3 values");
        // d3-scale-chromatic's interpolateTurbo at 0, 128/255 and 1; it rounds where colorous truncates.
        let expected = [[35, 23, 27], [150, 250, 80], [144, 12, 0]];
        for (pixel, expected) in image.pixels().zip(expected) {
            assert!(pixel.0.iter().zip(expected).all(|(found, expected)| found.abs_diff(expected) <= 1), "{pixel:?}");
        }
        assert_eq!(heatmap(&[f32::NAN], 1, 1, UNIT).expect("1 value").get_pixel(0, 0), &UNSEEN);
        assert!(heatmap(&[0.0; 3], 2, 1, UNIT).is_err());
        assert!(heatmap(&[0.0; 3], 2, 2, UNIT).is_err());
        assert_eq!([-1.0, 0.5, 2.0].map(|position| ColourMap::Grey.colour(position)), [[0; 3], [128; 3], [255; 3]]);
    }

    #[test]
    fn overlay_shows_heat_photograph_and_what_was_left_out() {
        let photograph = RgbImage::from_pixel(400, 200, Rgb([100, 120, 140]));
        let frame = Frame::new(Fit::Crop, photograph.dimensions(), 224).expect("usable sizes");
        // The left half of the map is normal, the right half is hot.
        let map: Vec<f32> = (0..224 * 224).map(|at| if at % 224 < 112 { 0.0 } else { 1.0 }).collect();
        let picture = overlay(&photograph, &map, &frame, UNIT, 1.0).expect("sizes agree");
        assert_eq!(picture.get_pixel(0, 100).0, [50, 60, 70], "not inspected");
        assert_eq!(picture.get_pixel(150, 100).0, [100, 120, 140], "normal");
        assert_eq!(picture.get_pixel(250, 100).0, [144, 12, 0], "hot");
        let faint = overlay(&photograph, &map, &frame, UNIT, 0.25).expect("sizes agree");
        assert_eq!(faint.get_pixel(250, 100).0, [111, 93, 105], "a quarter of the heat");
    }

    #[test]
    fn another_photograph_is_refused() {
        let frame = Frame::new(Fit::Crop, (40, 30), 8).expect("usable sizes");
        let error = overlay(&RgbImage::new(30, 40), &[0.0; 64], &frame, UNIT, 1.0).expect_err("other dimensions");
        assert_eq!(error.to_string(), "image of a frame: expected 40 x 30 pixels, found 30 x 40 pixels");
    }
}
