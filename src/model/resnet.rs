//! ResNet up to its third layer (He et al., "Deep Residual Learning", 2015; Zagoruyko and Komodakis, "Wide Residual
//! Networks", 2016), with the habits of PCSNet's authors.

use super::loader::{Loader, Norm};
use crate::Result;
use crate::config::{LEVELS, LayerConfig, ResNetConfig};
use crate::gpu::{Graph, Tensor};
use crate::ops::{Activation, Conv2d, Geometry, Padding, Residual, conv2d, max_pool};
use crate::weights::fold::EPSILON;

pub(crate) struct ResNet {
    stem: Conv2d,
    layers: Vec<Vec<Block>>,
}

/// A residual block. All its convolutions but the last are followed by a relu.
struct Block {
    name: String,
    convs: Vec<Conv2d>,
    downsample: Option<Conv2d>,
}

/// A convolution of a block: output channels, input channels, geometry.
type Shape = ([u32; 2], Geometry);

impl ResNet {
    /// Blocks of two 3 x 3 convolutions; the stride is in the first. For images of `input` x `input`.
    pub(crate) async fn basic(loader: &mut Loader<'_>, config: &ResNetConfig, input: u32) -> Result<Self> {
        Self::load(loader, config, input, |inputs, LayerConfig { channels, .. }, stride| {
            vec![([channels, inputs], strided(3, stride)), ([channels, channels], Geometry::SIDE_3)]
        })
        .await
    }

    /// Blocks of 1 x 1, 3 x 3, 1 x 1 convolutions; the stride is in the second.
    pub(crate) async fn bottleneck(loader: &mut Loader<'_>, config: &ResNetConfig, input: u32) -> Result<Self> {
        Self::load(loader, config, input, |inputs, LayerConfig { width, channels, .. }, stride| {
            vec![
                ([width, inputs], Geometry::POINTWISE),
                ([width, width], strided(3, stride)),
                ([channels, width], Geometry::POINTWISE),
            ]
        })
        .await
    }

    async fn load(
        loader: &mut Loader<'_>,
        config: &ResNetConfig,
        input: u32,
        shapes: impl Fn(u32, LayerConfig, u32) -> Vec<Shape>,
    ) -> Result<Self> {
        let norm = Norm { name: "backbone.bn1", epsilon: EPSILON };
        let halve = |side: u32| side.div_ceil(2);
        let stem = loader.conv2d_folded("backbone.conv1", norm, [config.stem, 3], strided(7, 2), halve(input)).await?;
        // As the stem's pooling leaves it.
        let mut side = halve(halve(input));
        let mut layers = Vec::with_capacity(LEVELS);
        let mut inputs = config.stem;
        for (level, layer) in config.layers.into_iter().enumerate() {
            let mut blocks = Vec::with_capacity(layer.blocks as usize);
            for index in 0..layer.blocks {
                let name = format!("backbone.layer{}.{index}", level + 1);
                // Layers 2 and 3 halve the resolution in their first block.
                let stride = if level > 0 && index == 0 { 2 } else { 1 };
                let shapes = shapes(inputs, layer, stride);
                side = side.div_ceil(stride);
                blocks.push(Block::load(loader, name, &shapes, [layer.channels, inputs], stride, side).await?);
                inputs = layer.channels;
            }
            layers.push(blocks);
        }
        Ok(Self { stem, layers })
    }

    /// The features of the three layers, each after a leaky relu of slope 0.01.
    ///
    /// A block applies its relu to its input, so a layer's own output may be negative. Within a layer every block's
    /// output is only ever read through that relu and is stored so; a layer's last is stored leaky, from which the next
    /// layer's first block recovers the relu.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor) -> [Tensor; LEVELS] {
        let stem = conv2d(graph, "backbone.conv1", input, f32::MIN, &self.stem, Activation::RELU, Residual::None);
        let mut x = max_pool(graph, "backbone.maxpool", stem);
        [0, 1, 2].map(|level| {
            let blocks = &self.layers[level];
            for (index, block) in blocks.iter().enumerate() {
                let last = index + 1 == blocks.len();
                let activation = if last { Activation::LEAKY_RELU } else { Activation::RELU };
                x = block.write(graph, x, activation);
            }
            x
        })
    }
}

/// PyTorch's usual padding for an odd kernel.
fn strided(kernel: u32, stride: u32) -> Geometry {
    Geometry { kernel, stride, padding: Padding::Even(kernel / 2) }
}

impl Block {
    async fn load(
        loader: &mut Loader<'_>,
        name: String,
        shapes: &[Shape],
        [outputs, inputs]: [u32; 2],
        stride: u32,
        side: u32,
    ) -> Result<Self> {
        let mut convs = Vec::with_capacity(shapes.len());
        for (index, &(channels, geometry)) in (1..).zip(shapes) {
            let norm = format!("{name}.bn{index}");
            let norm = Norm { name: &norm, epsilon: EPSILON };
            convs.push(loader.conv2d_folded(&format!("{name}.conv{index}"), norm, channels, geometry, side).await?);
        }
        let downsample = if stride != 1 || inputs != outputs {
            let [conv, norm] = ["0", "1"].map(|part| format!("{name}.downsample.{part}"));
            let norm = Norm { name: &norm, epsilon: EPSILON };
            Some(loader.conv2d_folded(&conv, norm, [outputs, inputs], strided(1, stride), side).await?)
        } else {
            None
        };
        Ok(Self { name, convs, downsample })
    }

    fn write(&self, graph: &mut Graph<'_>, x: Tensor, activation: Activation) -> Tensor {
        let label = |part: &str| format!("{}.{part}", self.name);
        let identity = match &self.downsample {
            Some(conv) => conv2d(graph, &label("downsample"), x, 0.0, conv, Activation::IDENTITY, Residual::None),
            // Stored behind a relu already: only a layer's first block can read anything else, and where that one has
            // no downsampling it follows the stem's pooling.
            None => x,
        };
        let mut y = x;
        let last = self.convs.len() - 1;
        for (index, conv) in self.convs.iter().enumerate() {
            let (activation, residual) = if index == last {
                (activation, Residual::Before(identity.all()))
            } else {
                (Activation::RELU, Residual::None)
            };
            y = conv2d(graph, &label(&format!("conv{}", index + 1)), y, 0.0, conv, activation, residual);
        }
        y
    }
}
