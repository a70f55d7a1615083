//! Convolutions, laid out as a model's are.

use crate::Result;
use crate::gpu::{Arithmetic, Format, Gpu, Graph, Tiling, Winograd};
use crate::ops::{
    Activation, Algorithm, Conv2d, Convolution as Declared, Depthwise, Epilogue, Geometry, Padding, Transform,
};
use crate::parameters::Parameters;
use crate::probe::harness::{Case, FENCE, declared, exact_values, input_as, random_maps_in, rounding, run, values};
use crate::reference::{self, Window};

/// How what a convolution multiplies and gives is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Formats {
    pub weights: Format,
    pub from: Format,
    pub to: Format,
}

impl Formats {
    pub(crate) const F32: Self = Self { weights: Format::F32, from: Format::F32, to: Format::F32 };
    pub(crate) const F16_WEIGHTS: Self = Self { weights: Format::F16, ..Self::F32 };
    pub(crate) const F16: Self = Self { weights: Format::F16, from: Format::F16, to: Format::F16 };
    pub(crate) const FROM_F16: Self = Self { to: Format::F32, ..Self::F16 };
    pub(crate) const TO_F16: Self = Self { from: Format::F32, ..Self::F16 };

    /// What may be lost beside the rounding of f32, relative to the largest output.
    pub(crate) fn loss(self, algorithm: Algorithm) -> f32 {
        let Self { weights, from, to } = self;
        let halved = |format: Format| format == Format::F16;
        // Patches and products are rounded between transforms that add up to 36 of them with factors up to 5.
        let between = halved(from) || halved(to);
        let inside = match algorithm {
            Algorithm::Winograd(Winograd::F2x2, _) if between => 4e-3,
            Algorithm::Winograd(Winograd::F4x4, _) if between => 1.2e-2,
            // The other weights of these cases are exact in f16.
            Algorithm::Winograd(Winograd::F4x4, Transform::AtLoad) if halved(weights) => 4e-3,
            _ => 0.0,
        };
        inside + rounding(to)
    }
}

/// A convolution with bias and relu, and how it is computed.
#[derive(Clone, Copy)]
pub(crate) struct Convolution {
    pub kernel: u32,
    pub stride: u32,
    pub algorithm: Algorithm,
    pub formats: Formats,
    pub tiling: Option<Tiling>,
}

impl Convolution {
    pub(crate) const POINTWISE: Self =
        Self { kernel: 1, stride: 1, algorithm: Algorithm::Pointwise, formats: Formats::F32, tiling: None };
    pub(crate) const STEM: Self =
        Self { kernel: 7, stride: 2, algorithm: Algorithm::Implicit, formats: Formats::F32, tiling: None };

    /// 3 x 3 by one of Winograd's algorithms.
    pub(crate) const fn winograd(winograd: Winograd, transform: Transform) -> Self {
        let algorithm = Algorithm::Winograd(winograd, transform);
        Self { kernel: 3, stride: 1, algorithm, formats: Formats::F32, tiling: None }
    }

    /// The convolution with weights, input and output stored so.
    pub(crate) const fn stored(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// The convolution with its product tiled so.
    pub(crate) const fn tiled(self, tiling: Tiling) -> Self {
        Self { tiling: Some(tiling), ..self }
    }
}

/// A small whole number in a value's place: f16 holds the sum of 16 products with [`exact_values`] exactly.
pub(crate) fn whole(value: f32) -> f32 {
    (2.0 * value).round()
}

pub(crate) async fn convolution(gpu: &Gpu, convolution: Convolution) -> Result<Case> {
    let Convolution { kernel, stride, algorithm, formats, tiling } = convolution;
    let Formats { weights, from, to } = formats;
    let [batch, height, width, inputs, outputs] = [2, 13, 10, 12, 72];
    let geometry = Geometry { kernel, stride, padding: Padding::Even(kernel / 2) };
    let mut x = random_maps_in(from, [batch, height, width, inputs], 1);
    if tiling.is_some_and(|tiling| tiling.arithmetic == Arithmetic::Halves) {
        x = x.map(whole);
    }
    let shape = [outputs, inputs, kernel, kernel].map(|size| size as usize);
    let weight = exact_values(shape.iter().product(), 2);
    let bias = values(outputs as usize, 3);
    let declaration = Declared::new("conv", [outputs, inputs], geometry).biased();
    let declare = |parameters: &mut Parameters<'_>| Conv2d::computed_by(algorithm, parameters, declaration);
    let conv = declared(gpu, weights, &weight, &bias, declare).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    if let Some(tiling) = tiling {
        graph = graph.tiled(tiling);
    }
    let tensor = input_as(from, &mut graph, &x);
    let out = conv.write(&mut graph, "conv", tensor, Epilogue::RELU.stored(to));
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    let size = [height as usize, width as usize];
    let window = Window::even(kernel as usize, stride as usize, kernel as usize / 2, size);
    let truth = reference::conv2d(&x, &weight, Some(&bias), window).relu();
    Ok(answer.against(truth.values, 1e-5 + formats.loss(algorithm)))
}

pub(crate) async fn depthwise(gpu: &Gpu, format: Format) -> Result<Case> {
    let [kernel, stride, side, channels] = [5, 2, 13, 12];
    let x = random_maps_in(format, [2, side, side, channels], 1);
    let shape = [channels, 1, kernel, kernel].map(|size| size as usize);
    let weight = values(shape.iter().product(), 2);
    let bias = values(channels as usize, 3);
    let geometry = Geometry { kernel, stride, padding: Padding::Same };
    let declaration = Declared::new("conv", [channels, 1], geometry).biased();
    let declare = |parameters: &mut Parameters<'_>| Depthwise::new(parameters, declaration);
    let conv = declared(gpu, Format::F32, &weight, &bias, declare).await?;
    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input_as(format, &mut graph, &x);
    let out = conv.write(&mut graph, "conv", tensor, Activation::RELU6);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;
    let window = Window::same(kernel as usize, stride as usize, side as usize);
    let truth = reference::depthwise(&x, &weight, &bias, window).map(|value| value.clamp(0.0, 6.0));
    Ok(answer.against(truth.values, 1e-5 + rounding(format)))
}

/// A convolution that widens, depthwise and narrows, as they hand their results to one another in a network.
pub(crate) async fn inverted_residual(gpu: &Gpu, weights: Format) -> Result<Case> {
    let [side, channels, wide] = [13, 12, 72];
    let x = random_maps_in(Format::F32, [2, side, side, channels], 1);
    let [widening, narrowing] = [2, 3].map(|seed| exact_values((wide * channels) as usize, seed));
    let filters = values(9 * wide as usize, 4);
    let [wide_bias, filter_bias, bias] =
        [(wide, 5), (wide, 6), (channels, 7)].map(|(n, seed)| values(n as usize, seed));
    let declaration = |channels, geometry| Declared::new("conv", channels, geometry).biased();
    let pointwise = |channels| {
        move |parameters: &mut Parameters<'_>| Conv2d::new(parameters, declaration(channels, Geometry::POINTWISE))
    };
    let geometry = Geometry { kernel: 3, stride: 2, padding: Padding::Same };
    let depthwise = |parameters: &mut Parameters<'_>| Depthwise::new(parameters, declaration([wide, 1], geometry));
    let widen = declared(gpu, weights, &widening, &wide_bias, pointwise([wide, channels])).await?;
    let filter = declared(gpu, weights, &filters, &filter_bias, depthwise).await?;
    let narrow = declared(gpu, weights, &narrowing, &bias, pointwise([channels, wide])).await?;

    let mut graph = Graph::fenced(gpu, FENCE);
    let tensor = input_as(Format::F32, &mut graph, &x);
    let widened = widen.write_rows(&mut graph, "widen", tensor, Epilogue::RELU6);
    let filtered = filter.write(&mut graph, "filter", widened, Activation::RELU6);
    let out = narrow.write(&mut graph, "narrow", filtered, Epilogue::NONE);
    let answer = run(graph, &[(tensor, &x.values)], out.all()).await?;

    let relu6 = |maps: reference::Maps| maps.map(|value| value.clamp(0.0, 6.0));
    let dot = |side: u32| Window::even(1, 1, 0, [side as usize; 2]);
    let window = Window::same(3, 2, side as usize);
    let widened = relu6(reference::conv2d(&x, &widening, Some(&wide_bias), dot(side)));
    let filtered = relu6(reference::depthwise(&widened, &filters, &filter_bias, window));
    let narrowed = reference::conv2d(&filtered, &narrowing, Some(&bias), dot(side.div_ceil(2)));
    Ok(answer.against(narrowed.values, 1e-5))
}
