//! Whether photographs were taken in differing light.

use super::spread::mean_and_deviation;
use crate::config::Light;
use crate::image::RgbImage;
use serde::{Deserialize, Serialize};

/// What was decided about the light of photographs, and from what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LightDecision {
    /// Whether the light differs, so that every photograph is brought to one before it is looked at.
    pub differs: bool,
    /// How much the photographs differ: the standard deviation of their median luminances, over the mean of these;
    /// `None` where there were too few to tell.
    pub spread: Option<f64>,
}

/// Photographs from which on it can be told whether light differs.
const ENOUGH: usize = 4;
/// Spread from which on it does. Photographs of one camera under one lamp differ by less than half of it.
const DIFFERS: f64 = 0.1;

impl LightDecision {
    /// The decision from photographs of good parts, and the light to bring them to, where it differs: the mean of
    /// theirs.
    pub(super) fn of<'a>(photographs: impl IntoIterator<Item = &'a RgbImage>) -> (Self, Option<Light>) {
        let lights: Vec<Light> = photographs.into_iter().map(Light::of).collect();
        if lights.len() < ENOUGH {
            return (Self::default(), None);
        }
        let [level, deviation] = mean_and_deviation(lights.iter().map(|light| f64::from(light.level)));
        let [contrast, _] = mean_and_deviation(lights.iter().map(|light| f64::from(light.contrast)));
        // Of photographs that are black for the most part no level can be told.
        let spread = deviation / level.max(1.0 / 255.0);
        let differs = spread > DIFFERS;
        let light = Light { level: level as f32, contrast: contrast as f32 };
        (Self { differs, spread: Some(spread) }, differs.then_some(light))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::image::Rgb;

    /// By hand: levels 80 and 120, two each, have the mean 100 and the deviation 40 / sqrt(3).
    #[test]
    fn light_differs_from_a_tenth_on() {
        let of_levels = |levels: &[u8]| {
            let photographs: Vec<RgbImage> =
                levels.iter().map(|level| RgbImage::from_pixel(4, 4, Rgb([*level; 3]))).collect();
            LightDecision::of(&photographs)
        };
        let (decision, light) = of_levels(&[80, 120, 120, 80]);
        assert!((decision.spread.expect("enough") - 0.230_94).abs() < 1e-5 && decision.differs);
        assert_eq!(light, Some(Light { level: (100.0_f64 / 255.0) as f32, contrast: 0.0 }));
        let (decision, light) = of_levels(&[95, 105, 105, 95]);
        assert!((decision.spread.expect("enough") - 0.057_74).abs() < 1e-5 && !decision.differs && light.is_none());
        assert_eq!(of_levels(&[10, 200, 90]), (LightDecision::default(), None), "too few");
    }
}
