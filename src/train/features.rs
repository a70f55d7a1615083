//! What the frozen backbone makes of photographs: computed once for each picture that training sees.

use crate::config::DescriptorKind;
use crate::gpu::{Gpu, Graph, Schedule, Tensor, read_buffers};
use crate::image::{RgbImage, rgba};
use crate::model::Backbone;
use crate::{ModelConfig, Result, ops};

/// Pictures that run at once.
const TOGETHER: usize = 4;

/// The backbone and the 3 x 3 means of its levels, written down.
pub(super) struct FeatureRun {
    schedule: Schedule,
    pixels: Tensor,
    /// Of each level, before and after the mean.
    levels: Vec<[Tensor; 2]>,
    kind: DescriptorKind,
}

/// Of each level `[side * side][channels]`.
pub(super) type Features = Vec<Vec<f32>>;

impl FeatureRun {
    pub(super) async fn new(gpu: &Gpu, backbone: &Backbone, config: &ModelConfig) -> Result<Self> {
        // Features are kept as stages.
        let mut graph = Graph::new(gpu, true);
        let pixels = graph.external("photographs", [TOGETHER as u32, config.input, config.input, 1]);
        let input = ops::normalize(&mut graph, pixels, config.backbone.normalization(), config.light);
        let features = backbone.write(&mut graph, input, config.depth());
        let mut levels = Vec::new();
        for level in config.levels() {
            let name = format!("train.layer_{}", level + 1);
            let pooled = ops::avg_pool(&mut graph, &name, features[level]);
            graph.stage(&name, pooled.all());
            levels.push([features[level], pooled]);
        }
        let kind = config.trained().map_or(DescriptorKind::Plain, |head| head.descriptor);
        Ok(Self { schedule: graph.finish().await?, pixels, levels, kind })
    }

    /// What the descriptor begins with, of pictures of the network's input size and before [`prepared`]: averaged
    /// features in the plain kind.
    pub(super) async fn run(&self, gpu: &Gpu, pictures: &[&RgbImage]) -> Result<Vec<Features>> {
        self.run_for(gpu, pictures, usize::from(self.kind == DescriptorKind::Plain)).await
    }

    /// The features themselves.
    pub(super) async fn run_raw(&self, gpu: &Gpu, pictures: &[&RgbImage]) -> Result<Vec<Features>> {
        self.run_for(gpu, pictures, 0).await
    }

    async fn run_for(&self, gpu: &Gpu, pictures: &[&RgbImage], which: usize) -> Result<Vec<Features>> {
        let mut found = Vec::with_capacity(pictures.len());
        for together in pictures.chunks(TOGETHER) {
            let mut pixels: Vec<u8> = together.iter().flat_map(|picture| rgba(picture)).collect();
            // Black ones stand for those that are missing.
            pixels.resize(self.pixels.bytes() as usize, 0);
            self.schedule.write(gpu, self.pixels, &pixels).await?;
            self.schedule.submit(gpu).await?;
            let tensors = self.levels.iter().map(|level| level[which]);
            let sources: Vec<_> = tensors.map(|tensor| (self.schedule.buffer(tensor), tensor.bytes())).collect();
            let levels: Vec<Vec<f32>> = read_buffers(gpu, &sources).await?;
            for picture in 0..together.len() {
                let part = |level: &Vec<f32>| {
                    let size = level.len() / TOGETHER;
                    level[picture * size..][..size].to_vec()
                };
                found.push(levels.iter().map(part).collect());
            }
        }
        Ok(found)
    }
}

/// What the descriptor reads of a picture: its features times their channels' scales, joined by coordinates where
/// the CoordConv is all there is.
pub(super) fn prepared(config: &ModelConfig, features: &Features, scales: &[Vec<f32>]) -> Features {
    let sides = config.levels().into_iter().map(|level| config.level_sides()[level] as usize);
    let is_plain = config.trained().is_none_or(|head| head.descriptor == DescriptorKind::Plain);
    let level = |((level, scale), side): ((&Vec<f32>, &Vec<f32>), usize)| match is_plain {
        true => with_coordinates(level, scale, side),
        false => level.iter().zip(scale.iter().cycle()).map(|(value, scale)| value * scale).collect(),
    };
    features.iter().zip(scales).zip(sides).map(level).collect()
}

/// What a CoordConv's input holds where its features are not there yet.
pub(super) fn coordinates(side: usize, channels: usize) -> Vec<f32> {
    with_coordinates(&vec![0.0; side * side * channels], &vec![0.0; channels], side)
}

/// The levels of several pictures, one picture behind the other.
pub(super) fn together<'a>(pictures: impl Iterator<Item = &'a Features> + Clone) -> Features {
    let levels = pictures.clone().next().map_or(0, Vec::len);
    (0..levels).map(|level| pictures.clone().flat_map(|picture| &picture[level]).copied().collect()).collect()
}

/// Features times their channel's scale, each pixel joined by its row and column (from -1 to 1), a one and a zero:
/// what a CoordConv multiplies, its bias among the weights.
pub(super) fn with_coordinates(features: &[f32], scale: &[f32], side: usize) -> Vec<f32> {
    let coordinate = |place: usize| (2.0 * place as f64 / (side - 1).max(1) as f64 - 1.0) as f32;
    let pixels = features.chunks_exact(scale.len()).enumerate();
    let joined = pixels.flat_map(|(place, pixel)| {
        let scaled = pixel.iter().zip(scale).map(|(value, scale)| value * scale);
        scaled.chain([coordinate(place / side), coordinate(place % side), 1.0, 0.0])
    });
    joined.collect()
}

/// The reciprocal of each channel's deviation over some pictures, `[pictures]` of `[pixels][channels]`.
pub(super) fn unit_scales<'a>(pictures: impl Iterator<Item = &'a Vec<f32>> + Clone, channels: usize) -> Vec<f32> {
    // `torch.std`'s, which divides by one less than there are values.
    let count = pictures.clone().map(|picture| picture.len() / channels).sum::<usize>() as f64;
    let scale = |channel: usize| {
        let values = || {
            pictures.clone().flat_map(move |picture| picture[channel..].iter().step_by(channels)).map(|&v| f64::from(v))
        };
        let mean = values().sum::<f64>() / count;
        let squares: f64 = values().map(|value| (value - mean).powi(2)).sum();
        (1.0 / (squares / (count - 1.0).max(1.0)).sqrt().max(1e-6)) as f32
    };
    (0..channels).map(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_joined_by_their_places() {
        let joined = with_coordinates(&[1.0, 2.0, 3.0, 4.0], &[10.0], 2);
        let rows = [
            [10.0, -1.0, -1.0, 1.0, 0.0],
            [20.0, -1.0, 1.0, 1.0, 0.0],
            [30.0, 1.0, -1.0, 1.0, 0.0],
            [40.0, 1.0, 1.0, 1.0, 0.0],
        ];
        assert_eq!(joined, rows.concat());
    }

    /// From `1 / torch.tensor([[1., 3], [5, 3]]).flatten().std()`, and of a channel without deviation.
    #[test]
    fn scales_as_pytorch() {
        let pictures = [vec![1.0, 7.0, 3.0, 7.0], vec![5.0, 7.0, 3.0, 7.0]];
        let scales = unit_scales(pictures.iter(), 2);
        assert!((scales[0] - 0.612_372_4).abs() < 1e-6 && scales[1] == 1e6, "{scales:?}");
    }
}
