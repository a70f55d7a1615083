//! EfficientNet-Lite (Tan and Le, 2019; without squeeze-and-excitation, with ReLU6) up to the block that gives the third
//! level's features.
//!
//! As in TensorFlow, where its weights come from, BatchNorm adds 1e-3 to variances and strided convolutions are padded
//! "SAME". A block's output is linear by design, so features are handed on as they are.

use super::loader::{Loader, Norm};
use crate::Result;
use crate::config::{EfficientNetConfig, LEVELS, StageConfig};
use crate::gpu::{Graph, Tensor};
use crate::ops::{Activation, Conv2d, Depthwise, Geometry, Padding, Residual, conv2d, depthwise};
use crate::weights::fold::TENSORFLOW_EPSILON;

pub(crate) struct EfficientNet {
    stem: Conv2d,
    levels: Vec<Vec<InvertedResidual>>,
}

/// Widen (unless the factor is 1), depthwise, narrow; the input is added where shapes allow.
struct InvertedResidual {
    name: String,
    widen: Option<Conv2d>,
    depthwise: Depthwise,
    narrow: Conv2d,
    residual: bool,
}

impl EfficientNet {
    /// For images of `input` x `input`.
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &EfficientNetConfig, input: u32) -> Result<Self> {
        let norm = Norm { name: "backbone.bn1", epsilon: TENSORFLOW_EPSILON };
        let stem =
            loader.conv2d_folded("backbone.conv_stem", norm, [config.stem, 3], same(3, 2), input.div_ceil(2)).await?;
        let mut levels = Vec::with_capacity(LEVELS);
        let (mut inputs, mut number) = (config.stem, 0);
        for stages in &config.layers {
            let mut blocks = Vec::new();
            for stage in stages {
                for index in 0..stage.blocks {
                    let name = format!("backbone.blocks.{number}.{index}");
                    let stride = if index == 0 { stage.stride } else { 1 };
                    blocks.push(InvertedResidual::load(loader, name, inputs, stage, stride).await?);
                    inputs = stage.channels;
                }
                number += 1;
            }
            levels.push(blocks);
        }
        Ok(Self { stem, levels })
    }

    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor) -> [Tensor; LEVELS] {
        let label = "backbone.conv_stem";
        let mut x = conv2d(graph, label, input, f32::MIN, &self.stem, Activation::RELU6, Residual::None);
        [0, 1, 2].map(|level| {
            for block in &self.levels[level] {
                x = block.write(graph, x);
            }
            x
        })
    }
}

fn same(kernel: u32, stride: u32) -> Geometry {
    Geometry { kernel, stride, padding: Padding::Same }
}

impl InvertedResidual {
    async fn load(
        loader: &mut Loader<'_>,
        name: String,
        inputs: u32,
        stage: &StageConfig,
        stride: u32,
    ) -> Result<Self> {
        let wide = inputs * stage.expand;
        // timm numbers BatchNorms in the order they run and calls the narrowing convolution `conv_pwl` only where a
        // widening `conv_pw` comes before it.
        let (widens, norms, narrow_name) = match stage.expand {
            1 => (false, ["", "bn1", "bn2"], "conv_pw"),
            _ => (true, ["bn1", "bn2", "bn3"], "conv_pwl"),
        };
        let part = |part: &str| format!("{name}.{part}");
        let norms = norms.map(part);
        let [norm_widen, norm_depthwise, norm_narrow] =
            [0, 1, 2].map(|index| Norm { name: &norms[index], epsilon: TENSORFLOW_EPSILON });
        let widen = match widens {
            true => Some(loader.conv1x1_folded(&part("conv_pw"), norm_widen, [wide, inputs]).await?),
            false => None,
        };
        let geometry = same(stage.kernel, stride);
        let depthwise = loader.depthwise_folded(&part("conv_dw"), norm_depthwise, wide, geometry).await?;
        let narrow = loader.conv1x1_folded(&part(narrow_name), norm_narrow, [stage.channels, wide]).await?;
        let residual = stride == 1 && inputs == stage.channels;
        Ok(Self { widen, depthwise, narrow, residual, name })
    }

    fn write(&self, graph: &mut Graph<'_>, x: Tensor) -> Tensor {
        let label = |part: &str| format!("{}.{part}", self.name);
        let wide = match &self.widen {
            Some(conv) => conv2d(graph, &label("widen"), x, f32::MIN, conv, Activation::RELU6, Residual::None),
            None => x,
        };
        let filtered = depthwise(graph, &label("depthwise"), wide, &self.depthwise, Activation::RELU6);
        let residual = if self.residual { Residual::Before(x.all()) } else { Residual::None };
        conv2d(graph, &label("narrow"), filtered, f32::MIN, &self.narrow, Activation::IDENTITY, residual)
    }
}
