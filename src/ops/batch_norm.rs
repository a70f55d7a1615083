//! A convolution and the BatchNorm behind it, as one convolution.
//!
//! In inference BatchNorm (Ioffe and Szegedy, 2015) is an affine map per channel, so it folds into the convolution
//! before it: with `s = gamma / sqrt(variance + eps)`, the weights become `s * w` and the bias `beta - s * mean`.
//! Computed in `f64`, so that folding rounds once.

use crate::weights::{Parameter, Role};
use crate::{Error, Result};

/// A BatchNorm by its PyTorch name, and what it adds to variances.
#[derive(Clone, Debug)]
pub(crate) struct Norm {
    pub name: String,
    pub epsilon: f64,
}

/// A BatchNorm's learnt and gathered numbers, one of each per channel.
pub(crate) struct Statistics {
    pub scale: Vec<f32>,
    pub shift: Vec<f32>,
    pub mean: Vec<f32>,
    pub variance: Vec<f32>,
}

impl Norm {
    /// Its parameters, in the order of [`Statistics`].
    pub(super) fn parameters(&self, channels: u32) -> [Parameter; 4] {
        let fields = [
            ("weight", Role::NormScale),
            ("bias", Role::NormShift),
            ("running_mean", Role::NormMean),
            ("running_var", Role::NormVariance),
        ];
        fields.map(|(field, role)| Parameter::new(format!("{}.{field}", self.name), role, &[channels]))
    }

    /// Folds the norm into the weights of the convolution before it, `[..][output channels]`. Gives the bias.
    ///
    /// # Errors
    /// [`Error::Input`] for a negative variance, and for a channel whose folded numbers exceed `f32`.
    pub(super) fn fold(&self, weight: &mut [f32], statistics: &Statistics) -> Result<Vec<f32>> {
        let Statistics { shift, mean, .. } = statistics;
        let channels = 0..shift.len();
        let scales = channels.clone().map(|channel| self.scale(statistics, channel)).collect::<Result<Vec<f64>>>()?;
        for row in weight.chunks_exact_mut(scales.len()) {
            for (value, scale) in row.iter_mut().zip(&scales) {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
        let bias: Vec<f32> = channels
            .map(|channel| (f64::from(shift[channel]) - f64::from(mean[channel]) * scales[channel]) as f32)
            .collect();
        let values = weight.iter().chain(&bias).enumerate();
        match values.map(|(index, value)| (index % scales.len(), value)).find(|(_, value)| !value.is_finite()) {
            None => Ok(bias),
            Some((channel, value)) => Err(Error::Input {
                what: format!("BatchNorm `{}`, channel {channel}, scale {:e}", self.name, scales[channel]),
                expected: "finite weights and bias after folding".into(),
                found: value.to_string(),
            }),
        }
    }

    fn scale(&self, statistics: &Statistics, channel: usize) -> Result<f64> {
        let variance = statistics.variance[channel];
        if variance < 0.0 || variance.is_nan() {
            return Err(Error::Input {
                what: format!("tensor `{}.running_var`, element {channel}", self.name),
                expected: "a variance of at least 0".into(),
                found: variance.to_string(),
            });
        }
        Ok(f64::from(statistics.scale[channel]) / (f64::from(variance) + self.epsilon).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm() -> Norm {
        Norm { name: "backbone.bn1".to_owned(), epsilon: 1e-5 }
    }

    fn statistics() -> Statistics {
        Statistics { scale: vec![2.0, -1.5], shift: vec![0.5, 0.25], mean: vec![3.0, -1.0], variance: vec![4.0, 0.0] }
    }

    #[test]
    fn by_hand() {
        // Two inputs, two outputs.
        let mut weight = [1.0, 0.5, -2.0, 4.0];
        let bias = norm().fold(&mut weight, &statistics()).expect("a sound BatchNorm");
        // 2 / sqrt(4.00001) = 0.99999875, and -1.5 / sqrt(0.00001) = -474.341649.
        let expected_weight = [0.999_998_75_f64, -237.170_824_5, -1.999_997_5, -1_897.366_596_1];
        let expected_bias = [0.5 - 3.0 * 0.999_998_75, 0.25 - 474.341_649_0];
        let folded = weight.iter().chain(&bias);
        for (&value, expected) in folded.zip(expected_weight.into_iter().chain(expected_bias)) {
            assert!((f64::from(value) - expected).abs() <= 1e-7 * expected.abs(), "{value} is not {expected}");
        }
    }

    #[test]
    fn computes_what_the_pair_computed() {
        let Statistics { scale, shift, mean, variance } = statistics();
        let own = [[0.3_f32, 1.1], [-0.7, 0.9]];
        let mut weight = own.as_flattened().to_vec();
        let bias = norm().fold(&mut weight, &statistics()).expect("a sound BatchNorm");
        let input = [1.7_f64, -2.3];
        for channel in 0..2 {
            let sum = |weight: &dyn Fn(usize) -> f32| (0..2).map(|i| f64::from(weight(i)) * input[i]).sum::<f64>();
            let normalised = (sum(&|i| own[i][channel]) - f64::from(mean[channel]))
                / (f64::from(variance[channel]) + 1e-5).sqrt()
                * f64::from(scale[channel])
                + f64::from(shift[channel]);
            let once = sum(&|i| weight[2 * i + channel]) + f64::from(bias[channel]);
            assert!((once - normalised).abs() < 1e-6 * normalised.abs().max(1.0), "{once} is not {normalised}");
        }
    }

    fn refusal(statistics: &Statistics) -> String {
        let error = norm().fold(&mut [1.0; 4], statistics).expect_err("an unsound BatchNorm");
        assert!(matches!(error, Error::Input { .. }), "{error:?}");
        error.to_string()
    }

    #[test]
    fn unsound_numbers_are_refused() {
        for variance in [-0.5, f32::NAN] {
            let text = refusal(&Statistics { variance: vec![1.0, variance], ..statistics() });
            assert!(text.contains("`backbone.bn1.running_var`, element 1"), "{text}");
            assert!(text.contains("at least 0") && text.contains(&variance.to_string()), "{text}");
        }
        let text = refusal(&Statistics { scale: vec![1.0, f32::MAX], ..statistics() });
        assert!(text.contains("`backbone.bn1`, channel 1") && text.contains("inf"), "{text}");
    }
}
