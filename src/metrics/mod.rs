//! How good a detector is: AUROC, average precision, best F1, and AUPRO.
//!
//! Every metric looks at all distinct scores as thresholds; nothing is sampled or binned. Larger scores mean more
//! anomalous. Where a metric is not defined, because only one class is there, say, it is [`Undefined`] with the reason
//! and never a number.
//!
//! ```
//! use pcsnet::metrics::{Undefined, ranking};
//!
//! let scores = [0.1, 0.4, 0.35, 0.8];
//! let metrics = ranking(&scores, &[false, false, true, true])?;
//! assert_eq!(metrics.auroc, Ok(0.75));
//! assert_eq!(ranking(&scores, &[true; 4])?.auroc, Err(Undefined::NoNormal));
//! # Ok::<(), pcsnet::Error>(())
//! ```
//!
//! [`PixelScores`] takes the maps of a whole test set, one at a time, in bounded memory.

#[cfg(not(target_arch = "wasm32"))]
mod overlap;
#[cfg(not(target_arch = "wasm32"))]
mod pixels;
mod ranking;
#[cfg(not(target_arch = "wasm32"))]
mod sorter;

#[cfg(not(target_arch = "wasm32"))]
pub use pixels::{PixelMetrics, PixelScores};
pub use ranking::{BestF1, CurvePoint, Ranking, ranking};

use crate::{Error, Result};

/// A metric's value, or why it has none.
pub type Metric = std::result::Result<f64, Undefined>;

/// Why a metric has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// Neither kind of sample is there.
    #[error("there are no samples")]
    NoSamples,
    /// All samples are normal.
    #[error("there are no anomalous samples")]
    NoAnomalous,
    /// All samples are anomalous.
    #[error("there are no normal samples")]
    NoNormal,
    /// A metric with spaced thresholds met maps of one value.
    #[error("all maps have one and the same value, which leaves no room for thresholds")]
    Constant,
    /// A metric with spaced thresholds has too few of them in its range.
    #[error(
        "fewer than two of the thresholds have a false-positive rate below the limit, or all of them have the rate 0"
    )]
    TooFewThresholds,
}

/// A number whose order as an integer is the order of the scores, the largest score first. Zeros of both signs are one.
fn descending_key(score: f32) -> u32 {
    let bits = (score + 0.0).to_bits();
    if bits >> 31 == 0 { !(bits | 1 << 31) } else { bits }
}

/// The score of a [`descending_key`].
#[cfg(not(target_arch = "wasm32"))]
fn score_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 0 { !key & !(1 << 31) } else { key })
}

fn ensure_finite(scores: &[f32]) -> Result<()> {
    match scores.iter().position(|score| !score.is_finite()) {
        Some(index) => Err(Error::Input {
            what: "scores".to_owned(),
            expected: "finite numbers".to_owned(),
            found: format!("{} at place {index}", scores[index]),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_scores() {
        let falling = [f32::MAX, 2.5, 1e-40, 0.0, -1e-40, -1.0, f32::MIN];
        let keys = falling.map(descending_key);
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
        assert_eq!(keys.map(score_of), falling);
        assert_eq!(descending_key(-0.0), descending_key(0.0));
    }
}
