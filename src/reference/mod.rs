//! CPU twins: every shader's operation in plain loops, one file for each, of the same name, and the whole
//! [`network`] written from them.
//!
//! They are the truth that the shaders are tested against, so they follow the operations' definitions in PyTorch and
//! SciPy and take no shortcut the shaders take; sums run in f64. They know nothing of GPUs and are slow.

mod adam;
mod adaptive_pool;
mod adaptive_pool_gradient;
mod avg_pool;
mod batch_norm;
mod blur;
mod conv2d;
mod coreset;
mod depthwise;
mod distances;
mod join_levels;
mod light;
mod losses;
mod matmul;
mod max_pool;
mod max_score;
mod nearest;
mod nearest_gradient;
pub mod network;
mod normalize;
mod pack_nchw;
mod project;
mod project_gradient;
mod relu_gradient;
mod resize;
mod resize_gradient;
mod resize_sum;
mod resize_through;
mod scale_channels;
mod square_norm;
mod upsample_map;
mod warp;
mod weight_gradient;
mod winograd;

pub use adam::{AdamState, adam};
pub use adaptive_pool::adaptive_pool;
pub use adaptive_pool_gradient::adaptive_pool_gradient;
pub use avg_pool::avg_pool;
pub use batch_norm::{BatchNormGradients, batch_norm, batch_norm_gradients, running_statistics};
pub use blur::blur;
pub use conv2d::{Window, conv2d, conv2d_at};
pub use coreset::coreset;
pub use depthwise::depthwise;
pub use distances::distances;
pub use join_levels::join_levels;
pub use light::light;
pub use losses::{DistanceTerms, LossRole, distance_losses, squared_error};
pub use matmul::matmul;
pub use max_pool::max_pool;
pub use max_score::max_score;
pub use nearest::nearest;
pub use nearest_gradient::{nearest_gradient, nearest_ranks};
pub use normalize::normalize;
pub use pack_nchw::pack_nchw;
pub use project::project;
pub use project_gradient::{project_input_gradient, project_weight_gradient};
pub use relu_gradient::relu_gradient;
pub use resize::{Corners, resize};
pub use resize_gradient::resize_gradient;
pub use resize_sum::resize_sum;
pub use resize_through::resize_through;
pub use scale_channels::scale_channels;
pub use square_norm::square_norm;
pub use upsample_map::upsample_map;
pub use warp::warp;
pub use weight_gradient::{input_gradient, weight_gradient};
pub use winograd::{winograd2_input, winograd2_output, winograd4_input, winograd4_output};

/// Feature maps, channels last: `[batch][height][width][channels]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Maps {
    /// Batch, height, width, channels.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}

impl Maps {
    /// Computes every value from its image, row, column and channel.
    pub fn from_fn(shape: [usize; 4], mut value: impl FnMut([usize; 4]) -> f64) -> Self {
        let [batch, height, width, channels] = shape;
        let mut values = Vec::with_capacity(batch * height * width * channels);
        for image in 0..batch {
            for y in 0..height {
                for x in 0..width {
                    values.extend((0..channels).map(|channel| value([image, y, x, channel]) as f32));
                }
            }
        }
        Self { shape, values }
    }

    /// One value.
    pub fn at(&self, [image, y, x, channel]: [usize; 4]) -> f64 {
        let [_, height, width, channels] = self.shape;
        f64::from(self.values[((image * height + y) * width + x) * channels + channel])
    }

    /// All channels of a pixel.
    pub fn pixel(&self, [image, y, x]: [usize; 3]) -> &[f32] {
        let [_, height, width, channels] = self.shape;
        &self.values[((image * height + y) * width + x) * channels..][..channels]
    }

    /// The values as PyTorch orders them, `[batch][channels][height][width]`.
    pub fn to_nchw(&self) -> Vec<f32> {
        let [batch, height, width, channels] = self.shape;
        let swapped = Self::from_fn([batch, channels, height, width], |[image, c, y, x]| self.at([image, y, x, c]));
        swapped.values
    }

    /// The leading channels: `x[:, :channels]`.
    pub fn leading(&self, channels: usize) -> Self {
        let [batch, height, width, _] = self.shape;
        Self::from_fn([batch, height, width, channels], |index| self.at(index))
    }

    /// `torch.cat(maps, dim=1)`.
    pub fn concat(maps: &[Self]) -> Self {
        let [batch, height, width, _] = maps[0].shape;
        let channels = maps.iter().map(|map| map.shape[3]).sum();
        let mut joined = Self { shape: [batch, height, width, channels], values: Vec::new() };
        for pixel in 0..batch * height * width {
            for map in maps {
                let channels = map.shape[3];
                joined.values.extend(&map.values[pixel * channels..][..channels]);
            }
        }
        joined
    }

    /// Each value through a function.
    pub fn map(&self, function: impl Fn(f32) -> f32) -> Self {
        Self { shape: self.shape, values: self.values.iter().copied().map(function).collect() }
    }

    /// `relu(x)`.
    pub fn relu(&self) -> Self {
        self.map(|value| value.max(0.0))
    }

    /// The sum with maps of the same shape.
    pub fn plus(&self, other: &Self) -> Self {
        assert_eq!(self.shape, other.shape);
        let values = self.values.iter().zip(&other.values).map(|(a, b)| a + b).collect();
        Self { shape: self.shape, values }
    }
}

/// What the twins' tests share.
#[cfg(test)]
mod testing {
    use super::Maps;

    /// Small whole numbers that differ from place to place: `((7 * torch.arange(n)) % 11 - 5).view(shape)`, channels
    /// last.
    pub(crate) fn sample(shape: [usize; 4]) -> Maps {
        let count: usize = shape.iter().product();
        Maps { shape, values: (0..count).map(|index| (7 * index % 11) as f32 - 5.0).collect() }
    }

    /// Fails unless as many values are as close as an f32 allows.
    pub(crate) fn assert_close(values: &[f32], expected: &[f32]) {
        assert_eq!(values.len(), expected.len());
        for (value, expected) in values.iter().zip(expected) {
            assert!((value - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{values:?}, not {expected}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testing::sample;

    #[test]
    fn maps_are_channels_last() {
        let x = sample([2, 1, 2, 3]);
        assert_eq!(x.pixel([1, 0, 1]), [x.at([1, 0, 1, 0]), x.at([1, 0, 1, 1]), x.at([1, 0, 1, 2])].map(|v| v as f32));
        assert_eq!(x.to_nchw(), [-5.0, 5.0, 2.0, 1.0, -2.0, -3.0, 4.0, 3.0, 0.0, -1.0, -4.0, -5.0]);
        assert_eq!(x.leading(1).values, [-5.0, 5.0, 4.0, 3.0]);
        assert_eq!(
            Maps::concat(&[x.leading(2), x.leading(1)]).values,
            [-5.0, 2.0, -5.0, 5.0, 1.0, 5.0, 4.0, 0.0, 4.0, 3.0, -1.0, 3.0]
        );
    }

    #[test]
    fn maps_add_and_clamp() {
        let x = sample([1, 1, 2, 2]);
        assert_eq!(x.relu().values, [0.0, 2.0, 0.0, 5.0]);
        assert_eq!(x.plus(&x.relu()).values, [-5.0, 4.0, -2.0, 10.0]);
    }
}
