//! Convolutions. Which algorithm runs was decided when the weights were laid out.

use super::activation::{Activation, Epilogue, Residual};
use super::matmul::{Gather, Matrix, Product, matmul, matmul_gathered};
use super::winograd;
use crate::gpu::{Format, Graph, Layer, Tensor, Winograd};

/// A convolution with its weights in the layout its algorithm wants.
pub(crate) struct Conv2d {
    pub geometry: Geometry,
    pub algorithm: Algorithm,
    pub matrix: Matrix,
    pub bias: Option<wgpu::Buffer>,
}

/// How a square kernel moves over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub kernel: u32,
    pub stride: u32,
    pub padding: Padding,
}

/// Zeros around the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many on every side.
    Even(u32),
    /// TensorFlow's "SAME": as many as give size / stride outputs, rounded up; the odd one goes right and below.
    Same,
}

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// A matrix product over the pixels. Matrix `[in][out]`.
    Pointwise,
    /// A matrix product whose rows are gathered on the way. Matrix `[kernel row][kernel column][in][out]`.
    Implicit,
    /// One of Winograd's.
    Winograd(Winograd, Transform),
}

/// When the weights of a 3 x 3 convolution are transformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transform {
    /// Once and for all. Matrices `[positions][in][out]`.
    AtLoad,
    /// Each time the convolution runs. Matrices `[3 * 3][in][out]`.
    BeforeUse,
}

impl Geometry {
    pub(crate) const POINTWISE: Self = Self { kernel: 1, stride: 1, padding: Padding::Even(0) };
    pub(crate) const SIDE_3: Self = Self { kernel: 3, stride: 1, padding: Padding::Even(1) };

    /// What a convolution of this geometry runs as, 3 x 3 ones as `winograd`.
    pub(crate) fn algorithm(&self, winograd: Winograd) -> Algorithm {
        match *self {
            Self::POINTWISE => Algorithm::Pointwise,
            Self::SIDE_3 => Algorithm::Winograd(winograd, Transform::AtLoad),
            _ => Algorithm::Implicit,
        }
    }

    /// Side of the output for a side of the input.
    pub(super) fn out_size(&self, size: u32) -> u32 {
        match self.padding {
            Padding::Even(padding) => (size + 2 * padding - self.kernel) / self.stride + 1,
            Padding::Same => size.div_ceil(self.stride),
        }
    }

    /// Zeros before the first of `size` pixels.
    pub(super) fn padding_before(&self, size: u32) -> u32 {
        match self.padding {
            Padding::Even(padding) => padding,
            Padding::Same => ((self.out_size(size) - 1) * self.stride + self.kernel).saturating_sub(size) / 2,
        }
    }
}

/// `activation(conv2d(max(x, input_floor)) + bias)` with a residual: PyTorch's cross-correlation with zero padding.
/// The floor is 0 for a relu on the way in, [`f32::MIN`] for none. The output has the format of `x`.
pub(crate) fn conv2d(
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    input_floor: f32,
    conv: &Conv2d,
    activation: Activation,
    residual: Residual<'_>,
) -> Tensor {
    let epilogue = Epilogue { bias: conv.bias.as_ref(), activation, residual };
    convolve(x.format, graph, label, x, input_floor, conv, epilogue)
}

/// [`conv2d`] without a floor, in a format of its own.
pub(crate) fn conv2d_as(
    format: Format,
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    conv: &Conv2d,
    activation: Activation,
    residual: Residual<'_>,
) -> Tensor {
    let epilogue = Epilogue { bias: conv.bias.as_ref(), activation, residual };
    convolve(format, graph, label, x, f32::MIN, conv, epilogue)
}

fn convolve(
    format: Format,
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    input_floor: f32,
    conv: &Conv2d,
    epilogue: Epilogue<'_>,
) -> Tensor {
    let geometry = conv.geometry;
    let [height, width] = [x.height, x.width].map(|size| geometry.out_size(size));
    let out = graph.tensor_as(format, label, [x.batch, height, width, conv.matrix.columns]);
    let product = Product { a: x.all(), input_floor, matrix: &conv.matrix, epilogue, out: out.all() };
    let layer = Layer {
        kernel: geometry.kernel,
        stride: geometry.stride,
        batch: x.batch,
        height: x.height,
        width: x.width,
        inputs: x.channels,
        outputs: out.channels,
        f16: conv.matrix.format.is_f16(),
    };
    match conv.algorithm {
        Algorithm::Pointwise => matmul(graph, label, &product),
        Algorithm::Winograd(kind, transform) => {
            let tiling = graph.tiling(&layer, Some(kind));
            let made = (transform == Transform::BeforeUse).then(|| winograd::weights(graph, label, kind, &conv.matrix));
            let matrix = made.as_ref().unwrap_or(&conv.matrix);
            winograd::conv2d(graph, label, kind, x, out, &Product { matrix, ..product }, tiling);
        }
        Algorithm::Implicit => {
            debug_assert!(x.height == x.width || matches!(geometry.padding, Padding::Even(_)), "{label}");
            let gather = Gather {
                in_height: x.height,
                in_width: x.width,
                in_channels: x.channels / 4,
                out_height: height,
                out_width: width,
                kernel: geometry.kernel,
                stride: geometry.stride,
                padding: geometry.padding_before(x.width),
            };
            let tiling = graph.tiling(&layer, None);
            matmul_gathered(graph, label, &product, gather, tiling);
        }
    }
    out
}
