//! What a model says of its own scores.

use crate::image::Scale;
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

const THRESHOLD: &str = "pcsnet.threshold";
const SCALE: &str = "pcsnet.scale";
const TILES: &str = "pcsnet.tiles";
const GOOD_SCORES: &str = "pcsnet.good_scores";

/// Whether a part is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing in the map is above the threshold.
    Pass,
    /// Something is.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
        })
    }
}

/// The threshold and the colours' range that belong to a model's scores, as its metadata hold them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calibration {
    /// `pcsnet.threshold`: the largest score that passes.
    pub threshold: Option<f32>,
    /// `pcsnet.scale`, as `low,high`: the values that get the first and the last colour, the same for every image.
    pub scale: Option<Scale>,
    /// `pcsnet.tiles`: the side, in pixels of the photograph, of the tiles in which photographs were inspected when the
    /// threshold was made; `None` where they were inspected whole. The threshold holds for the same way only.
    pub tiles: Option<u32>,
    /// `pcsnet.good_scores`, as `median,parts`: the scores of the good parts of the calibration, with which a line's
    /// compare ([`Drift`](super::Drift)).
    pub good_scores: Option<GoodScores>,
}

/// What a model remembers of the scores of the good parts that it was calibrated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GoodScores {
    /// Their median.
    pub median: f32,
    /// How many there were.
    pub parts: u32,
}

impl Calibration {
    /// Reads a model's metadata, see [`Weights::metadata`](crate::weights::Weights::metadata).
    ///
    /// # Errors
    /// [`Error::Config`] for values that are no finite numbers, a scale whose ends are not in order, tiles that are
    /// no whole number, or good scores without a median and a number of parts.
    pub fn from_metadata(metadata: &BTreeMap<&str, &str>) -> Result<Self> {
        let threshold = metadata
            .get(THRESHOLD)
            .map(|text| number(text).ok_or_else(|| unusable(THRESHOLD, text, "a number is expected, such as 0.5")));
        let scale = metadata.get(SCALE).map(|text| {
            let scale =
                text.split_once(',').and_then(|(low, high)| Some(Scale { low: number(low)?, high: number(high)? }));
            scale
                .filter(|scale| scale.low < scale.high)
                .ok_or_else(|| unusable(SCALE, text, "two rising numbers are expected, such as 0.1,0.9"))
        });
        let tiles = metadata.get(TILES).map(|text| {
            text.trim().parse().map_err(|_| unusable(TILES, text, "a whole number of pixels is expected, such as 512"))
        });
        let good_scores = metadata.get(GOOD_SCORES).map(|text| {
            let good = text.split_once(',').and_then(|(median, parts)| {
                Some(GoodScores { median: number(median)?, parts: parts.trim().parse().ok()? })
            });
            good.filter(|good| good.parts > 0).ok_or_else(|| {
                unusable(GOOD_SCORES, text, "a score and a number of parts are expected, such as 0.2,100")
            })
        });
        Ok(Self {
            threshold: threshold.transpose()?,
            scale: scale.transpose()?,
            tiles: tiles.transpose()?,
            good_scores: good_scores.transpose()?,
        })
    }

    /// The metadata that say the same.
    pub fn to_metadata(&self) -> BTreeMap<String, String> {
        let threshold = self.threshold.map(|threshold| (THRESHOLD.to_owned(), threshold.to_string()));
        let scale = self.scale.map(|Scale { low, high }| (SCALE.to_owned(), format!("{low},{high}")));
        let tiles = self.tiles.map(|tiles| (TILES.to_owned(), tiles.to_string()));
        let good_scores =
            self.good_scores.map(|GoodScores { median, parts }| (GOOD_SCORES.to_owned(), format!("{median},{parts}")));
        threshold.into_iter().chain(scale).chain(tiles).chain(good_scores).collect()
    }

    /// What becomes of a part with this score; `None` without a threshold.
    pub fn verdict(&self, score: f32) -> Option<Verdict> {
        self.threshold.map(|threshold| if score > threshold { Verdict::Fail } else { Verdict::Pass })
    }
}

fn number(text: &str) -> Option<f32> {
    text.trim().parse().ok().filter(|number: &f32| number.is_finite())
}

fn unusable(key: &str, text: &str, expected: &str) -> Error {
    Error::Config(format!("the model's `{key}` is `{text}`: {expected}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_back() {
        let scale = Some(Scale { low: -0.25, high: 1e-7 });
        let good_scores = Some(GoodScores { median: 0.030_486_6, parts: 17 });
        for calibration in [
            Calibration::default(),
            Calibration { threshold: Some(0.030_486_6), ..Calibration::default() },
            Calibration { threshold: Some(-1.5), scale, tiles: Some(512), good_scores },
        ] {
            let metadata = calibration.to_metadata();
            let metadata = metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(Calibration::from_metadata(&metadata).expect("our own words"), calibration);
        }
    }

    #[test]
    fn nonsense_is_named() {
        for (key, text) in [
            ("pcsnet.threshold", "high"),
            ("pcsnet.threshold", "inf"),
            ("pcsnet.scale", "1"),
            ("pcsnet.scale", "2,1"),
            ("pcsnet.scale", "1,1"),
            ("pcsnet.scale", "0,NaN"),
            ("pcsnet.tiles", "-1"),
            ("pcsnet.good_scores", "0.2"),
            ("pcsnet.good_scores", "high,1"),
            ("pcsnet.good_scores", "inf,3"),
            ("pcsnet.good_scores", "1,0"),
            ("pcsnet.good_scores", "1,-1"),
        ] {
            let refusal = Calibration::from_metadata(&[(key, text)].into()).expect_err("nonsense").to_string();
            assert!(refusal.contains(&format!("`{key}` is `{text}`: ")), "{refusal}");
        }
    }

    #[test]
    fn the_threshold_itself_passes() {
        let calibration = Calibration { threshold: Some(0.5), ..Calibration::default() };
        let verdicts = [0.4, 0.5, 0.6].map(|score| calibration.verdict(score));
        assert_eq!(verdicts, [Verdict::Pass, Verdict::Pass, Verdict::Fail].map(Some));
        assert_eq!(Calibration::default().verdict(9.0), None);
    }
}
