//! Where training begins: as PyTorch begins, or with descriptor and decoder as identities, so that the first map is the
//! distance to the nearest prototype.

use super::memory::Values;
use super::step::RADIUS;
use crate::ModelConfig;
use crate::config::TrainedHead;
use crate::model::{coord_conv, schema};
use crate::random::SplitMix;
use crate::weights::Role;

/// The radius that training begins with.
const FIRST_RADIUS: f32 = 1e-5;

/// PyTorch's default initialisation: of convolutions uniform within the reciprocal root of the values that a sum has,
/// of BatchNorms the identity.
pub(super) fn as_pytorch(config: &ModelConfig, seed: u64) -> Values {
    let mut random = SplitMix(seed);
    let mut values = Values::default();
    let mut bound = 1.0;
    for parameter in schema::head(config).tensors().iter().filter(|parameter| parameter.role != Role::Prototypes) {
        // A bias comes after its weights, and has their bound.
        if parameter.role == Role::Weight {
            bound = 1.0 / (parameter.shape[1..].iter().product::<usize>() as f64).sqrt();
        }
        let count = parameter.shape.iter().product::<usize>();
        *values.of(&parameter.name) = match parameter.role {
            Role::NormScale | Role::NormVariance => vec![1.0; count],
            Role::NormShift | Role::NormMean => vec![0.0; count],
            _ => (0..count).map(|_| random.between(-bound, bound) as f32).collect(),
        };
    }
    values.of(RADIUS).push(FIRST_RADIUS);
    values
}

/// Makes the descriptor hand its features on: neither biases nor coordinates count yet.
pub(super) fn start_as_identity(values: &mut Values, config: &ModelConfig) {
    for level in config.levels() {
        let coord_conv = coord_conv(config, level);
        coord_conv.parameters().iter().for_each(|parameter| values.of(&parameter.name).fill(0.0));
        // Each output's weights end with those of the two coordinates.
        let weight = values.of(&coord_conv.weight().name);
        let of_outputs = weight.chunks_exact_mut(coord_conv.inputs as usize).enumerate();
        of_outputs.for_each(|(channel, of_output)| of_output[channel] = 1.0);
    }
}

/// Makes the logits `slope * distance to the nearest prototype + offset`.
///
/// The distance travels in channel 0: past the residual branches, which add nothing to it, and through the finest bin
/// alone. The last convolution reads no other channel yet. Distances are never negative, so every relu lets them
/// pass.
pub(super) fn start_from_distance(values: &mut Values, head: &TrainedHead, [slope, offset]: [f32; 2]) {
    let (width, bins) = (head.width as usize, head.bins.len());
    // The first output channel of a convolution, which reads one value of its input or nothing.
    let mut first_reads = |name: &str, inputs: usize, read: Option<usize>| {
        let first = &mut values.of(&format!("{name}.weight"))[..inputs];
        first.fill(0.0);
        read.into_iter().for_each(|index| first[index] = 1.0);
    };
    for bin in 0..bins {
        let corr = (head.guide + head.nearest) as usize;
        first_reads(&format!("cas.corr_conv.{bin}.0"), corr, Some(head.guide as usize));
        first_reads(&format!("cas.beta_conv.{bin}.2"), 9 * width, None);
        if bin > 0 {
            first_reads(&format!("cas.alpha_conv.{}.0", bin - 1), 2 * width, None);
        }
    }
    first_reads("cas.res2.2", 9 * width, None);
    first_reads("cas.res1.0", bins * width, Some(0));
    // The middle tap.
    first_reads("cas.cls.0", 9 * width, Some(4));
    let last = values.of("cas.cls.3.weight");
    last.fill(0.0);
    last[0] = slope;
    values.of("cas.cls.3.bias").fill(offset);
}

/// Slope and offset of the line through distances that is nearest to masks, normal and abnormal positions weighing
/// the same.
pub(super) fn first_fit(distances: &[f32], masks: &[f32]) -> [f32; 2] {
    // More distance is never less anomalous.
    const LEAST_SLOPE: f64 = 0.05;
    let of = |mask: bool| {
        let pairs = distances.iter().zip(masks).filter(move |(_, value)| (**value > 0.5) == mask);
        let values: Vec<f64> = pairs.map(|(distance, _)| f64::from(*distance)).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (!values.is_empty()).then_some([mean, variance])
    };
    let (Some(normal), Some(abnormal)) = (of(false), of(true)) else { return [1.0, -1.0] };
    let gap = abnormal[0] - normal[0];
    let spread = (normal[1] + abnormal[1]) / 2.0 + gap * gap / 4.0;
    let slope = if spread > 0.0 { (gap / 4.0 / spread).max(LEAST_SLOPE) } else { LEAST_SLOPE };
    [slope as f32, (0.5 - slope * (normal[0] + abnormal[0]) / 2.0) as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: means 1 and 3, variances 0 and 1; slope 2 / 4 / (1 / 2 + 1) = 1 / 3, through (2, 1 / 2).
    #[test]
    fn the_first_fit_is_a_balanced_regression() {
        let [slope, offset] = first_fit(&[1.0, 1.0, 1.0, 2.0, 4.0], &[0.0, 0.0, 0.0, 1.0, 1.0]);
        assert!((slope - 1.0 / 3.0).abs() < 1e-6 && (offset + 1.0 / 6.0).abs() < 1e-6, "{slope}, {offset}");
        assert_eq!(first_fit(&[1.0], &[0.0]), [1.0, -1.0]);
    }
}
