//! A calibration from what a model finds in known parts.

use super::drift::median;
use super::threshold::threshold_of_held_out;
use super::{CONFIDENCE, Calibration, FalseAlarms, Fingerprint, Framing, GoodScores, threshold_for};
use crate::image::Scale;
use crate::metrics::{BestF1, ranking};
use crate::{Error, Precision, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The few figures of an anomaly map that a calibration is made from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapSummary {
    /// The largest value: the photograph's score.
    pub score: f32,
    /// The least value.
    pub lowest: f32,
    /// The middle value (the upper one of two).
    pub median: f32,
}

impl MapSummary {
    /// The figures of a map with this score.
    pub(crate) fn of(score: f32, map: &[f32]) -> Self {
        let mut values = map.to_vec();
        let middle = values.len() / 2;
        let (below, median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
        let lowest = below.iter().copied().fold(*median, f32::min);
        Self { score, lowest, median: *median }
    }
}

/// What is known of a photograph of a good part, see [`Inspector::survey`](super::Inspector::survey).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GoodPart {
    /// What tells whether two parts are one photograph.
    pub fingerprint: Fingerprint,
    /// What was found in the photograph, and then in altered copies of it.
    pub summaries: Vec<MapSummary>,
}

/// A calibration, and how it was found.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// The threshold and the colours' range.
    pub calibration: Calibration,
    /// What they were found from.
    pub origin: Origin,
    /// Parts that were not counted, because their photograph is that of an earlier part: their number, and the earlier
    /// one's.
    pub repeated: Vec<(usize, usize)>,
    /// Parts, by number, whose scores are so far above the others' that they may not be good. They are counted.
    pub outliers: Vec<usize>,
    setting: Setting,
}

/// What a threshold was found from.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// Photographs of good parts, for a rate of false alarms.
    Good {
        /// The threshold and what it promises.
        #[serde(flatten)]
        found: FalseAlarms,
        /// The rate that was asked for.
        wanted: f64,
        /// How sure the interval of `found` is.
        confidence: f64,
        /// How often each photograph was inspected: 1, or once more for each alteration.
        copies: usize,
    },
    /// Photographs of good and of defective parts, for the best F1.
    Labelled {
        /// The F1, and the least score that fails.
        #[serde(flatten)]
        best: BestF1,
        /// How many parts were good.
        good_images: u64,
        /// How many were not.
        anomalous_images: u64,
    },
}

/// The setting in which parts are inspected; what is found there holds there alone.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How photographs are shown to the network.
    pub framing: Framing,
    /// How the model is kept on the GPU.
    pub precision: Precision,
}

/// Calibrates a model from good parts: the threshold is the one that a share `rate` of them is expected to exceed, see
/// [`threshold_for`], and colours go from the median of good maps to as far above the threshold. Parts whose
/// photographs are nearly identical count as one.
///
/// # Errors
/// Those of [`threshold_for`].
pub fn calibrate(parts: &[GoodPart], rate: f64, setting: Setting) -> Result<Calibrated> {
    let (mut counted, mut repeated) = (Vec::<usize>::new(), Vec::new());
    for (index, part) in parts.iter().enumerate() {
        let same = |earlier: &&usize| parts[**earlier].fingerprint.is_same(&part.fingerprint);
        match counted.iter().find(same) {
            Some(&earlier) => repeated.push((index, earlier)),
            None => counted.push(index),
        }
    }
    let summaries: Vec<&[MapSummary]> = counted.iter().map(|index| parts[*index].summaries.as_slice()).collect();
    let calibrated = calibrate_different(&summaries, rate, setting, threshold_for)?;
    let outliers = calibrated.outliers.iter().map(|index| counted[*index]).collect();
    Ok(Calibrated { repeated, outliers, ..calibrated })
}

/// [`calibrate`] from photographs that a model is made of, each compared with the others alone and known to differ.
pub(crate) fn calibrate_held_out(parts: &[&[MapSummary]], rate: f64, setting: Setting) -> Result<Calibrated> {
    calibrate_different(parts, rate, setting, threshold_of_held_out)
}

fn calibrate_different(
    parts: &[&[MapSummary]],
    rate: f64,
    setting: Setting,
    threshold: impl Fn(&[Vec<f32>], f64) -> Result<FalseAlarms>,
) -> Result<Calibrated> {
    let scores: Vec<Vec<f32>> = parts.iter().map(|part| part.iter().map(|copy| copy.score).collect()).collect();
    let found = threshold(&scores, rate)?;
    let copies = scores.iter().map(Vec::len).max().unwrap_or(0);
    let origin = Origin::Good { found, wanted: rate, confidence: CONFIDENCE, copies };
    let themselves: Vec<f32> = scores.iter().filter_map(|copies| copies.first().copied()).collect();
    let outliers = far_above(&themselves);
    Ok(Calibrated { outliers, ..Calibrated::new(found.threshold, parts, origin, setting) })
}

/// Which of some scores lie far above the others: by more than 8 + 40 / n of their typical deviations above their
/// median (the median deviation, as a normal distribution's standard deviation). Extreme values, as scores of good
/// parts are, do so in 1 or 2 % of samples of 4 to 300.
fn far_above(scores: &[f32]) -> Vec<usize> {
    let Some(centre) = median(scores.iter().copied()).filter(|_| scores.len() >= 4) else { return Vec::new() };
    let typical = 1.4826 * median(scores.iter().map(|score| (score - centre).abs())).unwrap_or_default();
    let limit = centre + (8.0 + 40.0 / scores.len() as f32) * typical;
    (0..scores.len()).filter(|&index| typical > 0.0 && scores[index] > limit).collect()
}

/// Calibrates a model from good and anomalous parts, of which each is a summary and whether the part is anomalous: the
/// threshold is the one with the best F1.
///
/// # Errors
/// [`Error::Input`] where all parts are good or all anomalous, and for scores that are no finite numbers.
pub fn calibrate_labelled(parts: &[(MapSummary, bool)], setting: Setting) -> Result<Calibrated> {
    let (scores, anomalous): (Vec<f32>, Vec<bool>) =
        parts.iter().map(|(part, anomalous)| (part.score, *anomalous)).unzip();
    let found = ranking(&scores, &anomalous)?;
    let undefined = |reason: String| Error::Input {
        what: "labelled images".to_owned(),
        expected: "good and anomalous ones".to_owned(),
        found: reason,
    };
    found.auroc.map_err(|reason| undefined(reason.to_string()))?;
    let best = found.best_f1.map_err(|reason| undefined(reason.to_string()))?;
    let origin = Origin::Labelled { best, good_images: found.normal, anomalous_images: found.anomalous };
    let good: Vec<_> =
        parts.iter().filter(|(_, anomalous)| !anomalous).map(|(part, _)| std::slice::from_ref(part)).collect();
    Ok(Calibrated::new(threshold_below(best.threshold, &scores), &good, origin, setting))
}

impl Calibrated {
    /// From good parts, each as it is and then altered.
    fn new(threshold: f32, good: &[&[MapSummary]], origin: Origin, setting: Setting) -> Self {
        let scale = Some(scale_around(threshold, &good.concat()));
        let themselves = good.iter().filter_map(|copies| copies.first()).map(|part| part.score);
        let good_scores = median(themselves).map(|median| GoodScores { median, parts: good.len() as u32 });
        let tiles = setting.framing.tiles;
        let calibration = Calibration { threshold: Some(threshold), scale, tiles, good_scores };
        Self { calibration, origin, repeated: Vec::new(), outliers: Vec::new(), setting }
    }

    /// The changes to a model's metadata that store it: keys with new values, and those of a former calibration that no
    /// longer hold, without. [`update_metadata`](crate::weights::update_metadata) makes them in a file.
    pub fn to_metadata(&self) -> BTreeMap<String, Option<String>> {
        let former = ["pcsnet.tiles", "pcsnet.good_scores", "pcsnet.threshold_rule", "pcsnet.scale_rule"]
            .map(|key| (key.to_owned(), None));
        let mut changes: BTreeMap<String, Option<String>> = former.into();
        changes.extend(self.calibration.to_metadata().into_iter().map(|(key, value)| (key, Some(value))));
        changes.insert("pcsnet.fit".to_owned(), Some(self.setting.framing.fit.name().to_owned()));
        let record = Record {
            method: match self.origin {
                Origin::Good { .. } => None,
                Origin::Labelled { .. } => Some("best_f1"),
            },
            origin: &self.origin,
            precision: self.setting.precision.name(),
        };
        // Numbers and names: nothing that JSON could not hold.
        let record = serde_json::to_string(&record).unwrap_or_default();
        changes.insert("pcsnet.calibration".to_owned(), Some(record));
        changes
    }
}

/// What is kept as `pcsnet.calibration`.
#[derive(Serialize)]
struct Record<'a> {
    /// How the threshold was found, where `found` does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'static str>,
    #[serde(flatten)]
    origin: &'a Origin,
    precision: &'static str,
}

/// The threshold half way from a score to the next lower one, so that of `scores` exactly those from `score` on are
/// above it.
pub fn threshold_below(score: f32, scores: &[f32]) -> f32 {
    let next = scores.iter().copied().filter(|other| *other < score).reduce(f32::max);
    let middle = next.map_or(score - score.abs().max(1e-3) * 1e-3, |next| next / 2.0 + score / 2.0);
    if middle < score { middle } else { next.unwrap_or(middle) }
}

/// A range of colours with the threshold in its middle: from what is common in maps of good parts to as far above the
/// threshold.
pub fn scale_around(threshold: f32, good: &[MapSummary]) -> Scale {
    let mut medians: Vec<f32> = good.iter().map(|part| part.median).collect();
    medians.sort_by(f32::total_cmp);
    let lowest = good.iter().map(|part| part.lowest).fold(threshold, f32::min);
    let median = medians.get(medians.len() / 2).copied().filter(|median| *median < threshold);
    // A threshold below most of the good maps still needs a range around it.
    let low = median.unwrap_or(if lowest < threshold { lowest } else { threshold - threshold.abs().max(1e-3) });
    Scale { low, high: threshold + (threshold - low) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_between_two_scores() {
        let scores = [0.1, 0.5, 0.5, 0.75];
        assert_eq!(threshold_below(0.75, &scores), 0.625);
        assert!(threshold_below(0.1, &scores) < 0.1);
        // No number lies between these two.
        let next = f32::from_bits(1.0_f32.to_bits() + 1);
        assert_eq!(threshold_below(next, &[1.0, next]), 1.0);
    }

    fn part(brightness: u8, score: f32) -> GoodPart {
        let photograph = crate::image::RgbImage::from_pixel(40, 30, ::image::Rgb([brightness; 3]));
        let summary = MapSummary { score, lowest: 0.0, median: score / 4.0 };
        GoodPart { fingerprint: Fingerprint::of(&photograph), summaries: vec![summary] }
    }

    fn setting() -> Setting {
        let framing = Framing { fit: crate::image::Fit::Crop, tiles: None, side: 224 };
        Setting { framing, precision: Precision::F32 }
    }

    #[test]
    fn copies_of_a_photograph_count_once() {
        let once: Vec<_> = (0..4).map(|index| part(40 * index, 0.5 + f32::from(index) / 8.0)).collect();
        let thrice = [once.clone(), once.clone(), once.clone()].concat();
        let [alone, copied] = [&once, &thrice].map(|parts| calibrate(parts, 0.05, setting()).expect("four parts"));
        assert_eq!(copied.calibration, alone.calibration);
        assert!(matches!(copied.origin, Origin::Good { found, .. } if found.images == 4));
        assert_eq!(copied.repeated[..5], [(4, 0), (5, 1), (6, 2), (7, 3), (8, 0)]);
        assert!(alone.repeated.is_empty());
        assert_eq!(alone.calibration.good_scores, Some(GoodScores { median: 0.6875, parts: 4 }));
        assert!(calibrate(&[part(9, 0.5), part(9, 0.5)], 0.05, setting()).is_err(), "one photograph is not two");
    }

    #[test]
    fn defective_parts_among_the_good_are_named() {
        // Twenty scores like those of good parts, by the quantiles of a Gumbel distribution, and three defects.
        let good = |index: usize| 0.2 - 0.02 * (-((index as f32 + 0.5) / 20.0).ln()).ln();
        let mut parts: Vec<_> = (0..20).map(|index| part(10 * index as u8, good(index))).collect();
        assert!(calibrate(&parts, 0.05, setting()).expect("twenty parts").outliers.is_empty());
        parts.splice(7..7, [part(211, 0.7), part(221, 0.9), part(231, 0.8)]);
        assert_eq!(calibrate(&parts, 0.05, setting()).expect("parts").outliers, [7, 8, 9]);
    }

    #[test]
    fn the_threshold_is_the_middle_of_the_colours() {
        let map = |median| MapSummary { score: 1.0, lowest: -1.0, median };
        assert_eq!(scale_around(1.0, &[map(0.25), map(0.5), map(0.75)]), Scale { low: 0.5, high: 1.5 });
        assert_eq!(scale_around(0.0, &[map(0.5)]), Scale { low: -1.0, high: 1.0 });
        assert_eq!(scale_around(2.0, &[]), Scale { low: 0.0, high: 4.0 });
    }
}
