//! A convolution and the BatchNorm behind it, as one convolution.
//!
//! In inference BatchNorm (Ioffe and Szegedy, 2015) is an affine map per channel, so it folds into the convolution
//! before it: with `s = gamma / sqrt(variance + eps)`, the weights become `s * w` and the bias `beta - s * mean`.
//! Computed in `f64`, so that folding rounds once.

use crate::{Error, Result};

/// What PyTorch adds to a variance before the square root, unless told otherwise.
pub const EPSILON: f64 = 1e-5;
/// What TensorFlow adds, and with it the EfficientNets.
pub const TENSORFLOW_EPSILON: f64 = 1e-3;

/// A BatchNorm's learnt and gathered numbers, one of each per channel.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    /// The scale, gamma.
    pub weight: Vec<f32>,
    /// The shift, beta.
    pub bias: Vec<f32>,
    /// Mean over the training data.
    pub mean: Vec<f32>,
    /// Variance over the training data.
    pub variance: Vec<f32>,
}

/// A convolution with bias that computes what a convolution and a BatchNorm did.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// Output x input x height x width.
    pub weight: Vec<f32>,
    /// One per output channel.
    pub bias: Vec<f32>,
}

/// Folds a BatchNorm into the weights (output channels outermost) of the convolution before it.
///
/// `name` is the BatchNorm's, for errors.
///
/// # Errors
/// [`Error::Input`] for a negative variance, for a channel whose folded numbers exceed `f32`, and where the lengths do
/// not fit one another.
pub fn fold(name: &str, mut weight: Vec<f32>, norm: &BatchNorm, epsilon: f64) -> Result<Folded> {
    let channels = norm.weight.len();
    let lengths = [norm.bias.len(), norm.mean.len(), norm.variance.len()];
    if lengths != [channels; 3] || weight.is_empty() || channels == 0 || !weight.len().is_multiple_of(channels) {
        return Err(Error::Input {
            what: format!("BatchNorm `{name}`"),
            expected: format!("scale, shift, mean and variance per output channel of {} weights", weight.len()),
            found: format!("{channels} scales, {} shifts, {} means, {} variances", lengths[0], lengths[1], lengths[2]),
        });
    }
    let mut bias = Vec::with_capacity(channels);
    let weights_per_channel = weight.len() / channels;
    for (channel, weights) in weight.chunks_exact_mut(weights_per_channel).enumerate() {
        let scale = scale(name, norm, channel, epsilon)?;
        weights.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
        bias.push((f64::from(norm.bias[channel]) - f64::from(norm.mean[channel]) * scale) as f32);
        if let Some(value) = weights.iter().chain(&bias[channel..]).find(|value| !value.is_finite()) {
            return Err(Error::Input {
                what: format!("BatchNorm `{name}`, channel {channel}, scale {scale:e}"),
                expected: "finite weights and bias after folding".into(),
                found: value.to_string(),
            });
        }
    }
    Ok(Folded { weight, bias })
}

fn scale(name: &str, norm: &BatchNorm, channel: usize, epsilon: f64) -> Result<f64> {
    let variance = norm.variance[channel];
    if variance < 0.0 || variance.is_nan() {
        return Err(Error::Input {
            what: format!("tensor `{name}.running_var`, element {channel}"),
            expected: "a variance of at least 0".into(),
            found: variance.to_string(),
        });
    }
    Ok(f64::from(norm.weight[channel]) / (f64::from(variance) + epsilon).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm() -> BatchNorm {
        BatchNorm { weight: vec![2.0, -1.5], bias: vec![0.5, 0.25], mean: vec![3.0, -1.0], variance: vec![4.0, 0.0] }
    }

    #[test]
    fn by_hand() {
        let folded = fold("bn", vec![1.0, -2.0, 0.5, 4.0], &norm(), EPSILON).expect("a sound BatchNorm");
        // 2 / sqrt(4.00001) = 0.99999875, and -1.5 / sqrt(0.00001) = -474.341649.
        let expected_weight = [0.999_998_75_f64, -1.999_997_5, -237.170_824_5, -1_897.366_596_1];
        let expected_bias = [0.5 - 3.0 * 0.999_998_75, 0.25 - 474.341_649_0];
        let folded = folded.weight.iter().chain(&folded.bias);
        for (&value, expected) in folded.zip(expected_weight.into_iter().chain(expected_bias)) {
            assert!((f64::from(value) - expected).abs() <= 1e-7 * expected.abs(), "{value} is not {expected}");
        }
    }

    #[test]
    fn computes_what_the_pair_computed() {
        let norm = norm();
        let folded = fold("bn", vec![0.3, -0.7, 1.1, 0.9], &norm, EPSILON).expect("a sound BatchNorm");
        let input = [1.7_f64, -2.3];
        for (channel, weights) in [[0.3_f32, -0.7], [1.1, 0.9]].into_iter().enumerate() {
            let dot = |weights: &[f32]| weights.iter().zip(input).map(|(&w, x)| f64::from(w) * x).sum::<f64>();
            let normalised = (dot(&weights) - f64::from(norm.mean[channel]))
                / (f64::from(norm.variance[channel]) + 1e-5).sqrt()
                * f64::from(norm.weight[channel])
                + f64::from(norm.bias[channel]);
            let once = dot(&folded.weight[2 * channel..][..2]) + f64::from(folded.bias[channel]);
            assert!((once - normalised).abs() < 1e-6 * normalised.abs().max(1.0), "{once} is not {normalised}");
        }
    }

    fn refusal(weights: usize, norm: &BatchNorm) -> String {
        let error = fold("backbone.bn1", vec![1.0; weights], norm, EPSILON).expect_err("an unsound BatchNorm");
        assert!(matches!(error, Error::Input { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn unsound_numbers_are_refused() {
        for variance in [-0.5, f32::NAN] {
            let text = refusal(4, &BatchNorm { variance: vec![1.0, variance], ..norm() });
            assert!(text.contains("`backbone.bn1.running_var`, element 1"), "{text}");
            assert!(text.contains("at least 0") && text.contains(&variance.to_string()), "{text}");
        }
        let text = refusal(4, &BatchNorm { weight: vec![1.0, f32::MAX], ..norm() });
        assert!(text.contains("`backbone.bn1`, channel 1") && text.contains("inf"), "{text}");
    }

    #[test]
    fn lengths_must_fit() {
        for (weights, norm) in [
            (3, norm()),
            (0, norm()),
            (4, BatchNorm { bias: vec![0.0], ..norm() }),
            (4, BatchNorm { weight: vec![], bias: vec![], mean: vec![], variance: vec![] }),
        ] {
            assert!(refusal(weights, &norm).contains("per output channel of"));
        }
    }
}
