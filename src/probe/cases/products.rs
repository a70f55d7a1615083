//! Convolutions, laid out as a model's are.

use crate::Result;
use crate::gpu::{Gpu, Graph, Tiling, Winograd};
use crate::model::Loader;
use crate::ops::{self, Activation, Algorithm, Depthwise, Geometry, Padding, Residual, Transform};
use crate::probe::harness::{Case, FENCE, input, random_maps, run, values, vector};
use crate::reference::{self, Window};
use crate::weights::{Weights, layout};

/// A convolution with bias and relu, and how it is computed.
#[derive(Clone, Copy)]
pub(crate) struct Convolution {
    pub kernel: u32,
    pub stride: u32,
    pub algorithm: Algorithm,
    pub f16: bool,
    pub tiling: Option<Tiling>,
}

impl Convolution {
    pub(crate) const POINTWISE: Self =
        Self { kernel: 1, stride: 1, algorithm: Algorithm::Pointwise, f16: false, tiling: None };
    pub(crate) const STEM: Self =
        Self { kernel: 7, stride: 2, algorithm: Algorithm::Implicit, f16: false, tiling: None };

    /// 3 x 3 by one of Winograd's algorithms.
    pub(crate) const fn winograd(winograd: Winograd, transform: Transform) -> Self {
        let algorithm = Algorithm::Winograd(winograd, transform);
        Self { kernel: 3, stride: 1, algorithm, f16: false, tiling: None }
    }

    /// With weights packed as f16.
    pub(crate) const fn packed(self) -> Self {
        Self { f16: true, ..self }
    }

    /// With its product tiled so.
    pub(crate) const fn tiled(self, tiling: Tiling) -> Self {
        Self { tiling: Some(tiling), ..self }
    }
}

pub(crate) async fn convolution(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    let Convolution { kernel, stride, algorithm, f16, tiling } = convolution;
    let [batch, height, width, inputs, outputs] = [2, 13, 10, 12, 72];
    let geometry = Geometry { kernel, stride, padding: Padding::Even(kernel / 2) };
    let x = random_maps([batch, height, width, inputs], 1);
    let shape = [outputs, inputs, kernel, kernel].map(|size| size as usize);
    // Multiples of 1/64 below 1 stay exact in f16, through the transform of F(2x2), too.
    let weight: Vec<f32> = values(shape.iter().product(), 2).iter().map(|w| (w * 64.0).round() / 64.0).collect();
    let bias = values(outputs as usize, 3);
    let conv = Loader::new(gpu, &Weights::none(), f16, u64::MAX)
        .laid_out("conv", weight.clone(), Some(bias.clone()), shape, geometry, algorithm)
        .await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    if let Some(tiling) = tiling {
        graph = graph.tiled(tiling);
    }
    let tensor = input(&mut graph, &x);
    let out = ops::conv2d(&mut graph, "conv", tensor, f32::MIN, &conv, Activation::RELU, Residual::None);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    let size = [height as usize, width as usize];
    let window = Window::even(kernel as usize, stride as usize, kernel as usize / 2, size);
    let rounded = f16 && algorithm == Algorithm::Winograd(Winograd::F4x4, Transform::AtLoad);
    let tolerance = if rounded { 2e-3 } else { 1e-5 };
    Ok(answer.against(reference::conv2d(&x, &weight, Some(&bias), window).relu().values, tolerance))
}

pub(crate) async fn depthwise(gpu: &Gpu) -> Result<Case> {
    let [kernel, stride, side, channels] = [5, 2, 13, 12];
    let x = random_maps([2, side, side, channels], 1);
    let shape = [channels, 1, kernel, kernel].map(|size| size as usize);
    let weight = values(shape.iter().product(), 2);
    let bias = values(channels as usize, 3);
    let conv = Depthwise {
        geometry: Geometry { kernel, stride, padding: Padding::Same },
        weight: vector(gpu, &layout::rows_of_inputs(&weight, shape, 1)).await?,
        bias: vector(gpu, &bias).await?,
    };
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input(&mut graph, &x);
    let out = ops::depthwise(&mut graph, "conv", tensor, &conv, Activation::RELU6);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    let window = Window::same(kernel as usize, stride as usize, side as usize);
    let truth = reference::depthwise(&x, &weight, &bias, window).map(|value| value.clamp(0.0, 6.0));
    Ok(answer.against(truth.values, 1e-5))
}
