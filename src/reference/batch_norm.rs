use super::Maps;

/// What PyTorch's BatchNorms add to variances.
const EPSILON: f64 = 1e-5;

/// A channel's mean and variance (biased) over each group of images, `[groups]` of `[channels]`.
fn statistics(x: &Maps, groups: usize) -> Vec<Vec<[f64; 2]>> {
    let [images, height, width, channels] = x.shape;
    let images = images / groups;
    let of_channel = |group: usize, channel: usize| {
        let pixels = x.values.chunks_exact(channels).skip(group * images * height * width);
        let values = pixels.take(images * height * width).map(|pixel| f64::from(pixel[channel]));
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        [mean, values.map(|value| (value - mean).powi(2)).sum::<f64>() / count]
    };
    (0..groups).map(|group| (0..channels).map(|channel| of_channel(group, channel)).collect()).collect()
}

/// `relu(torch.nn.BatchNorm2d)` in training, of as many batches as there are `groups`, one behind the other.
pub fn batch_norm(x: &Maps, scale: &[f32], shift: &[f32], groups: usize) -> Maps {
    let (statistics, images) = (statistics(x, groups), x.shape[0] / groups);
    Maps::from_fn(x.shape, |place @ [image, _, _, channel]| {
        let [mean, variance] = statistics[image / images][channel];
        let standard = (x.at(place) - mean) / (variance + EPSILON).sqrt();
        (f64::from(scale[channel]) * standard + f64::from(shift[channel])).max(0.0)
    })
}

/// The running mean and variance of each channel after these batches, from what they were before.
pub fn running_statistics(x: &Maps, groups: usize, before: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let count = (x.values.len() / x.shape[3] / groups) as f64;
    statistics(x, groups).into_iter().fold(before.to_vec(), |running, of_group| {
        let next = running.iter().zip(of_group).map(|(running, [mean, variance])| {
            let news = [mean, variance * count / (count - 1.0).max(1.0)];
            [0, 1].map(|which| (0.9 * f64::from(running[which]) + 0.1 * news[which]) as f32)
        });
        next.collect()
    })
}

/// Gradients of [`batch_norm`].
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormGradients {
    /// The gradient of the input.
    pub input: Maps,
    /// The gradient of the scale, of each group apart: `[groups][channels]`.
    pub scale: Vec<f32>,
    /// The gradient of the shift, of each group apart: `[groups][channels]`.
    pub shift: Vec<f32>,
}

/// The gradients of [`batch_norm`] from that of its output.
pub fn batch_norm_gradients(x: &Maps, scale: &[f32], shift: &[f32], groups: usize, dy: &Maps) -> BatchNormGradients {
    let (statistics, images, channels) = (statistics(x, groups), x.shape[0] / groups, x.shape[3]);
    let count = (x.values.len() / channels / groups) as f64;
    let standard = |place: [usize; 4]| {
        let [mean, variance] = statistics[place[0] / images][place[3]];
        (x.at(place) - mean) / (variance + EPSILON).sqrt()
    };
    let before_relu = |place: [usize; 4]| {
        let value = f64::from(scale[place[3]]) * standard(place) + f64::from(shift[place[3]]);
        if value > 0.0 { dy.at(place) } else { 0.0 }
    };
    let mut sums = vec![[0.0; 2]; groups * channels];
    Maps::from_fn(x.shape, |place| {
        let [of_scale, of_shift] = &mut sums[place[0] / images * channels + place[3]];
        *of_scale += before_relu(place) * standard(place);
        *of_shift += before_relu(place);
        0.0
    });
    let input = Maps::from_fn(x.shape, |place @ [image, _, _, channel]| {
        let [of_scale, of_shift] = sums[image / images * channels + channel];
        let deviation = (statistics[image / images][channel][1] + EPSILON).sqrt();
        let average = (of_shift + standard(place) * of_scale) / count;
        f64::from(scale[channel]) / deviation * (before_relu(place) - average)
    });
    let part = |which: usize| sums.iter().map(|sums| sums[which] as f32).collect();
    BatchNormGradients { input, scale: part(0), shift: part(1) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::*;

    const SCALE: [f32; 2] = [1.5, -0.5];
    const SHIFT: [f32; 2] = [0.25, 0.375];

    fn picture() -> Maps {
        let values = (0..32).map(|place| (1.7 * f64::from(place)).sin() as f32).collect();
        Maps { shape: [4, 2, 2, 2], values }
    }

    /// Against small steps of every input, scale and shift, in two groups.
    #[test]
    fn gradients_as_small_steps() {
        // No value before the relu is near 0.
        let (x, dy) = (picture(), sample([4, 2, 2, 2]).map(|value| value / 8.0));
        let found = batch_norm_gradients(&x, &SCALE, &SHIFT, 2, &dy);
        let loss = |x: &Maps, scale: &[f32], shift: &[f32]| {
            let y = batch_norm(x, scale, shift, 2);
            y.values.iter().zip(&dy.values).map(|(y, dy)| f64::from(*y) * f64::from(*dy)).sum::<f64>()
        };
        let slope = |change: &dyn Fn(f32) -> f64| ((change(1e-3) - change(-1e-3)) / 2e-3) as f32;
        let of_input = (0..x.values.len()).map(|index| {
            slope(&|step| {
                let mut moved = x.clone();
                moved.values[index] += step;
                loss(&moved, &SCALE, &SHIFT)
            })
        });
        let largest = found.input.values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.input.values.iter().zip(of_input) {
            assert!((found - expected).abs() < 2e-3 * largest, "{found}, not {expected}");
        }
        for channel in 0..2 {
            let moved = |values: [f32; 2], step: f32| {
                let mut moved = values;
                moved[channel] += step;
                moved
            };
            let expected = slope(&|step| loss(&x, &moved(SCALE, step), &SHIFT));
            let of_groups = found.scale[channel] + found.scale[channel + 2];
            assert!((of_groups - expected).abs() < 1e-3, "{of_groups}, not {expected}");
            let expected = slope(&|step| loss(&x, &SCALE, &moved(SHIFT, step)));
            let of_groups = found.shift[channel] + found.shift[channel + 2];
            assert!((of_groups - expected).abs() < 1e-3, "{of_groups}, not {expected}");
        }
    }

    /// From `relu(torch.nn.BatchNorm2d(2)(x))` of the first and then the second two images, and its running mean and
    /// variance.
    #[test]
    fn as_pytorch() {
        let expected = [
            0.385_864, 0.0, 0.0, 1.191_873, 1.388_691, 0.0, 0.0, 0.945_192, 2.129_574, 0.131_512, 0.0, 0.569_06,
            2.414_991, 0.536_699, 0.0, 0.161_724, 2.417_357, 0.724_064, 0.0, 0.0, 1.434_893, 0.915_756, 0.0, 0.0,
            0.064_709, 0.966_882, 0.556_499, 0.0, 0.0, 0.864_085, 1.830_881, 0.0,
        ];
        for (found, expected) in batch_norm(&picture(), &SCALE, &SHIFT, 2).values.into_iter().zip(expected) {
            assert!((found - expected).abs() < 2e-6, "{found}, not {expected}");
        }
        let running = running_statistics(&picture(), 2, &[[0.0, 1.0]; 2]).concat();
        assert_close(&running, &[0.004_648_98, 0.898_852_6, 0.008_814_79, 0.931_638_7]);
    }
}
