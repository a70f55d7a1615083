//! EfficientNet-Lite (Tan and Le, 2019; without squeeze-and-excitation, with ReLU6) up to the block that gives the
//! third level's features.
//!
//! As in TensorFlow, where its weights come from, BatchNorm adds 1e-3 to variances and strided convolutions are padded
//! "SAME". A block's output is linear by design, so features are handed on as they are.

use crate::config::{EfficientNetConfig, StageConfig, TENSORFLOW_EPSILON};
use crate::gpu::{Graph, Tensor};
use crate::ops::{Activation, Conv2d, Convolution, Depthwise, Epilogue, Geometry, Padding, Residual};
use crate::parameters::Parameters;

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
    /// The stages of the first `depth` levels.
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &EfficientNetConfig, depth: usize) -> Self {
        let stem = Convolution::new("backbone.conv_stem", [config.stem, 3], same(3, 2));
        let stem = Conv2d::new(parameters, stem.normed("backbone.bn1", TENSORFLOW_EPSILON));
        let mut levels = Vec::with_capacity(depth);
        let (mut inputs, mut number) = (config.stem, 0);
        for stages in &config.layers[..depth] {
            let mut blocks = Vec::new();
            for stage in stages {
                for index in 0..stage.blocks {
                    let name = format!("backbone.blocks.{number}.{index}");
                    let stride = if index == 0 { stage.stride } else { 1 };
                    blocks.push(InvertedResidual::new(parameters, name, inputs, stage, stride));
                    inputs = stage.channels;
                }
                number += 1;
            }
            levels.push(blocks);
        }
        Self { stem, levels }
    }

    /// The features of the first `depth` levels.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor, depth: usize) -> Vec<Tensor> {
        let stem = "backbone.conv_stem";
        // A residual is added from memory like any other.
        let is_added = self.levels[0].first().is_some_and(|block| block.residual);
        let mut x = if is_added {
            self.stem.write(graph, stem, input, Epilogue::RELU6)
        } else {
            self.stem.write_rows(graph, stem, input, Epilogue::RELU6)
        };
        let mut features = Vec::with_capacity(depth);
        for blocks in &self.levels[..depth] {
            x = blocks.iter().fold(x, |x, block| block.write(graph, x));
            features.push(x);
        }
        features
    }
}

fn same(kernel: u32, stride: u32) -> Geometry {
    Geometry { kernel, stride, padding: Padding::Same }
}

impl InvertedResidual {
    fn new(parameters: &mut Parameters<'_>, name: String, inputs: u32, stage: &StageConfig, stride: u32) -> Self {
        let wide = inputs * stage.expand;
        let widens = stage.expand != 1;
        // timm numbers BatchNorms in the order they run and calls the narrowing convolution `conv_pwl` only where a
        // widening `conv_pw` comes before it.
        let (norms, narrow) =
            if widens { (["bn1", "bn2", "bn3"], "conv_pwl") } else { (["", "bn1", "bn2"], "conv_pw") };
        let conv = |conv: &str, norm: &str, channels, geometry| {
            Convolution::new(format!("{name}.{conv}"), channels, geometry)
                .normed(format!("{name}.{norm}"), TENSORFLOW_EPSILON)
        };
        let point = Geometry::POINTWISE;
        Self {
            widen: widens.then(|| Conv2d::new(parameters, conv("conv_pw", norms[0], [wide, inputs], point))),
            depthwise: Depthwise::new(parameters, conv("conv_dw", norms[1], [wide, 1], same(stage.kernel, stride))),
            narrow: Conv2d::new(parameters, conv(narrow, norms[2], [stage.channels, wide], point)),
            residual: stride == 1 && inputs == stage.channels,
            name,
        }
    }

    fn write(&self, graph: &mut Graph<'_>, x: Tensor) -> Tensor {
        let label = |part: &str| format!("{}.{part}", self.name);
        let wide = match &self.widen {
            Some(conv) => conv.write_rows(graph, &label("widen"), x, Epilogue::RELU6),
            None => x,
        };
        let filtered = self.depthwise.write(graph, &label("depthwise"), wide, Activation::RELU6);
        let residual = if self.residual { Residual::Before(x.all()) } else { Residual::None };
        self.narrow.write(graph, &label("narrow"), filtered, Epilogue::NONE.with(residual))
    }
}
