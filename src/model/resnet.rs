//! ResNet up to its third layer (He et al., "Deep Residual Learning", 2015; Zagoruyko and Komodakis, "Wide Residual
//! Networks", 2016), with the habits of PCSNet's authors.

use crate::config::{LayerConfig, PYTORCH_EPSILON, ResNetConfig};
use crate::gpu::{Graph, Tensor};
use crate::ops::{Activation, Conv2d, Convolution, Epilogue, Geometry, Input, Padding, Residual, max_pool};
use crate::parameters::Parameters;

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
    /// Blocks of two 3 x 3 convolutions; the stride is in the first. The first `depth` layers, for images of `input` x
    /// `input`.
    pub(crate) fn basic(parameters: &mut Parameters<'_>, config: &ResNetConfig, input: u32, depth: usize) -> Self {
        Self::new(parameters, config, input, depth, |inputs, LayerConfig { channels, .. }, stride| {
            vec![([channels, inputs], strided(3, stride)), ([channels, channels], Geometry::SIDE_3)]
        })
    }

    /// Blocks of 1 x 1, 3 x 3, 1 x 1 convolutions; the stride is in the second. Else as [`ResNet::basic`].
    pub(crate) fn bottleneck(parameters: &mut Parameters<'_>, config: &ResNetConfig, input: u32, depth: usize) -> Self {
        Self::new(parameters, config, input, depth, |inputs, LayerConfig { width, channels, .. }, stride| {
            vec![
                ([width, inputs], Geometry::POINTWISE),
                ([width, width], strided(3, stride)),
                ([channels, width], Geometry::POINTWISE),
            ]
        })
    }

    fn new(
        parameters: &mut Parameters<'_>,
        config: &ResNetConfig,
        input: u32,
        depth: usize,
        shapes: impl Fn(u32, LayerConfig, u32) -> Vec<Shape>,
    ) -> Self {
        let halve = |side: u32| side.div_ceil(2);
        let stem = Convolution::new("backbone.conv1", [config.stem, 3], strided(7, 2));
        let stem = Conv2d::new(parameters, stem.normed("backbone.bn1", PYTORCH_EPSILON));
        // As the stem's pooling leaves it.
        let mut side = halve(halve(input));
        let mut layers = Vec::with_capacity(depth);
        let mut inputs = config.stem;
        for (level, &layer) in config.layers.iter().enumerate().take(depth) {
            let mut blocks = Vec::with_capacity(layer.blocks as usize);
            for index in 0..layer.blocks {
                let name = format!("backbone.layer{}.{index}", level + 1);
                // Layers 2 and 3 halve the resolution in their first block.
                let stride = if level > 0 && index == 0 { 2 } else { 1 };
                side = side.div_ceil(stride);
                let downsample = (stride != 1 || inputs != layer.channels).then_some([layer.channels, inputs]);
                blocks.push(Block::new(parameters, name, &shapes(inputs, layer, stride), downsample, side));
                inputs = layer.channels;
            }
            layers.push(blocks);
        }
        Self { stem, layers }
    }

    /// The features of the first `depth` layers, each after a leaky relu of slope 0.01.
    ///
    /// A block applies its relu to its input, so a layer's own output may be negative. Within a layer every block's
    /// output is only ever read through that relu and is stored so; a layer's last is stored leaky, from which the next
    /// layer's first block recovers the relu.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor, depth: usize) -> Vec<Tensor> {
        let stem = self.stem.write(graph, "backbone.conv1", input, Epilogue::RELU);
        let mut x = Input::from(max_pool(graph, "backbone.maxpool", stem));
        let mut features = Vec::with_capacity(depth);
        for blocks in &self.layers[..depth] {
            for (index, block) in blocks.iter().enumerate() {
                let last = index + 1 == blocks.len();
                x = block.write(graph, x, if last { Activation::LEAKY_RELU } else { Activation::RELU }).into();
            }
            features.push(x.tensor);
            x = Input::relu(x.tensor);
        }
        features
    }
}

/// PyTorch's usual padding for an odd kernel.
fn strided(kernel: u32, stride: u32) -> Geometry {
    Geometry { kernel, stride, padding: Padding::Even(kernel / 2) }
}

impl Block {
    /// A block that gives `side` x `side` pixels; `downsample` are output and input channels where the identity needs
    /// it.
    fn new(
        parameters: &mut Parameters<'_>,
        name: String,
        shapes: &[Shape],
        downsample: Option<[u32; 2]>,
        side: u32,
    ) -> Self {
        let mut conv = |conv: &str, norm: &str, channels, geometry| {
            let convolution = Convolution::new(format!("{name}.{conv}"), channels, geometry).of_side(side);
            Conv2d::new(parameters, convolution.normed(format!("{name}.{norm}"), PYTORCH_EPSILON))
        };
        let convs = (1..).zip(shapes);
        let convs = convs
            .map(|(index, &(channels, geometry))| {
                conv(&format!("conv{index}"), &format!("bn{index}"), channels, geometry)
            })
            .collect();
        // Halved where the block halves: its identity is at the same resolution as its output.
        let stride = shapes.iter().map(|(_, geometry)| geometry.stride).product();
        let downsample = downsample.map(|channels| conv("downsample.0", "downsample.1", channels, strided(1, stride)));
        Self { name, convs, downsample }
    }

    /// `x` is without negative values as it is read.
    fn write(&self, graph: &mut Graph<'_>, x: Input, activation: Activation) -> Tensor {
        let label = |part: &str| format!("{}.{part}", self.name);
        let identity = match &self.downsample {
            Some(conv) => conv.write(graph, &label("downsample"), x, Epilogue::NONE),
            // Stored behind a relu already: only a layer's first block can read anything else, and where that one has
            // no downsampling it follows the stem's pooling.
            None => x.tensor,
        };
        let mut y = x;
        let last = self.convs.len() - 1;
        for (index, conv) in self.convs.iter().enumerate() {
            let epilogue = if index == last {
                Epilogue::of(activation).with(Residual::Before(identity.all()))
            } else {
                Epilogue::RELU
            };
            y = conv.write(graph, &label(&format!("conv{}", index + 1)), y, epilogue).into();
        }
        y.tensor
    }
}
