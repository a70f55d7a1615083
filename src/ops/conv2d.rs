//! Convolutions. Which algorithm runs is decided when they are declared, because each wants its weights in a form of
//! its own.

use super::activation::{Epilogue, Input};
use super::batch_norm::{Norm, Statistics};
use super::matmul::{Gather, Matrix, Product, matmul, matmul_gathered};
use super::winograd;
use crate::Result;
use crate::gpu::{Constant, Factors, Format, Graph, Layer, Tensor, Winograd};
use crate::parameters::{Parameters, Part};
use crate::weights::{Parameter, Role};

/// A convolution with its weights in the form its algorithm wants.
pub(crate) struct Conv2d {
    geometry: Geometry,
    algorithm: Algorithm,
    /// Channels of its input: the declared ones, padded.
    inputs: u32,
    matrix: Matrix,
    bias: Option<Constant>,
}

/// A convolution as the network declares it.
#[derive(Clone)]
pub(crate) struct Convolution {
    /// Its PyTorch name, without `.weight`.
    pub name: String,
    pub outputs: u32,
    /// Input channels of an output channel: 1 in a depthwise convolution.
    pub inputs: u32,
    pub geometry: Geometry,
    shift: Shift,
    /// Side of the square output, on which the choice of the algorithm depends.
    side: u32,
    format: Option<Format>,
}

/// What is added to a convolution's sums.
#[derive(Clone)]
enum Shift {
    None,
    Bias,
    /// The shift of the BatchNorm behind the convolution, which also scales the weights.
    Norm(Norm),
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
    /// As many zeros on every side.
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

    /// The algorithm of a convolution of this geometry; `winograd` computes 3 x 3 ones.
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

impl Convolution {
    /// A convolution without bias.
    pub(crate) fn new(name: impl Into<String>, [outputs, inputs]: [u32; 2], geometry: Geometry) -> Self {
        Self { name: name.into(), outputs, inputs, geometry, shift: Shift::None, side: 1, format: None }
    }

    /// The convolution with a bias.
    pub(crate) fn biased(self) -> Self {
        Self { shift: Shift::Bias, ..self }
    }

    /// The convolution with a BatchNorm behind it, which is folded into it.
    pub(crate) fn normed(self, name: impl Into<String>, epsilon: f64) -> Self {
        Self { shift: Shift::Norm(Norm { name: name.into(), epsilon }), ..self }
    }

    /// The convolution for outputs of `side` x `side` pixels. Only 3 x 3 convolutions of stride 1 depend on it.
    pub(crate) fn of_side(self, side: u32) -> Self {
        Self { side, ..self }
    }

    /// The convolution with weights that stay f32 in any model.
    pub(crate) fn in_f32(self) -> Self {
        Self { format: Some(Format::F32), ..self }
    }

    /// Its weight.
    pub(crate) fn weight(&self) -> Parameter {
        let Self { name, outputs, inputs, geometry: Geometry { kernel, .. }, .. } = self;
        Parameter::new(format!("{name}.weight"), Role::Weight, &[*outputs, *inputs, *kernel, *kernel])
    }

    /// The scale, shift, mean and variance of its BatchNorm, where it has one.
    pub(crate) fn norm(&self) -> Option<[Parameter; 4]> {
        if let Shift::Norm(norm) = &self.shift { Some(norm.parameters(self.outputs)) } else { None }
    }

    /// Its weight, then its bias or what its BatchNorm holds.
    pub(crate) fn parameters(&self) -> Vec<Parameter> {
        let is_biased = matches!(self.shift, Shift::Bias);
        let bias = is_biased.then(|| Parameter::new(format!("{}.bias", self.name), Role::Bias, &[self.outputs]));
        [self.weight()].into_iter().chain(bias).chain(self.norm().into_iter().flatten()).collect()
    }

    /// A constant for what is added to its sums, where there is something.
    pub(super) fn declare_bias(&self, parameters: &Parameters<'_>) -> Option<Constant> {
        match self.shift {
            Shift::None => None,
            Shift::Bias | Shift::Norm(_) => Some(parameters.vector(format!("{}.bias", self.name), self.outputs)),
        }
    }

    /// Weights `[taps][inputs, padded][outputs]` and bias from the values of [`Convolution::parameters`], a BatchNorm
    /// folded.
    pub(super) fn fold(&self, values: Vec<Vec<f32>>, padded_inputs: u32) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let mut values = values.into_iter();
        let mut next = || values.next().expect("as many values as parameters");
        let shape = [self.outputs, self.inputs, self.geometry.kernel.pow(2)];
        let mut weight = taps_inputs_outputs(&next(), shape, padded_inputs);
        let bias = match &self.shift {
            Shift::None => None,
            Shift::Bias => Some(next()),
            Shift::Norm(norm) => {
                let statistics = Statistics { scale: next(), shift: next(), mean: next(), variance: next() };
                Some(norm.fold(&mut weight, &statistics)?)
            }
        };
        Ok((weight, bias))
    }

    /// How it is computed. Transformed weights take from the room for them.
    fn algorithm(&self, parameters: &mut Parameters<'_>) -> Algorithm {
        let Self { outputs, inputs, geometry: Geometry { kernel, stride, .. }, side, .. } = *self;
        let format = self.format(parameters);
        let f16 = format.is_f16();
        let (batch, factors) = (1, Factors::F32);
        let layer = Layer { kernel, stride, batch, height: side, width: side, inputs, outputs, f16, factors };
        let algorithm = self.geometry.algorithm(parameters.winograd(&layer));
        match algorithm {
            Algorithm::Winograd(winograd, Transform::AtLoad) => {
                let values = u64::from(winograd.positions()) * u64::from(inputs) * u64::from(outputs);
                let fits = parameters.reserve_transformed(values * format.bytes_per_value());
                Algorithm::Winograd(winograd, if fits { Transform::AtLoad } else { Transform::BeforeUse })
            }
            algorithm => algorithm,
        }
    }

    fn format(&self, parameters: &Parameters<'_>) -> Format {
        self.format.unwrap_or(parameters.format())
    }
}

/// Weights in PyTorch's order, output x input x taps, as `[taps][inputs][outputs]`, the inputs padded by zeros.
pub(crate) fn taps_inputs_outputs(weight: &[f32], [outputs, inputs, taps]: [u32; 3], padded_inputs: u32) -> Vec<f32> {
    let [outputs, inputs, taps, padded_inputs] = [outputs, inputs, taps, padded_inputs].map(|size| size as usize);
    let mut matrices = vec![0.0; taps * padded_inputs * outputs];
    for (output, weight) in weight.chunks_exact(inputs * taps).enumerate() {
        for (input, weight) in weight.chunks_exact(taps).enumerate() {
            for (tap, &value) in weight.iter().enumerate() {
                matrices[(tap * padded_inputs + input) * outputs + output] = value;
            }
        }
    }
    matrices
}

impl Conv2d {
    /// Declares a convolution, computed as suits its geometry.
    pub(crate) fn new(parameters: &mut Parameters<'_>, convolution: Convolution) -> Self {
        let algorithm = convolution.algorithm(parameters);
        Self::computed_by(algorithm, parameters, convolution)
    }

    /// Declares a convolution that one algorithm computes.
    pub(crate) fn computed_by(algorithm: Algorithm, parameters: &mut Parameters<'_>, convolution: Convolution) -> Self {
        let Convolution { outputs, inputs, geometry, .. } = convolution;
        let (label, format) = (format!("{}.weight", convolution.name), convolution.format(parameters));
        let taps = geometry.kernel.pow(2);
        let padded_inputs = inputs.next_multiple_of(4);
        let constant = match algorithm {
            Algorithm::Winograd(winograd, Transform::AtLoad) => {
                parameters.matrix(label, [winograd.positions(), inputs, outputs], format)
            }
            // Another kernel than the product reads it.
            Algorithm::Winograd(_, Transform::BeforeUse) => Constant::buffer(label, [taps, inputs, outputs], format),
            Algorithm::Pointwise | Algorithm::Implicit => {
                parameters.matrix(label, [1, taps * padded_inputs, outputs], format)
            }
        };
        let bias = convolution.declare_bias(parameters);
        let matrix = Matrix::of(constant.clone());
        let conv = Self { geometry, algorithm, inputs: padded_inputs, matrix, bias: bias.clone() };
        parameters.declare(convolution.parameters(), move |values| {
            let (weight, bias_values) = convolution.fold(values, padded_inputs)?;
            let bias = bias.zip(bias_values).map(|(bias, values)| Part::whole(bias, values));
            Ok(match algorithm {
                Algorithm::Winograd(winograd, Transform::AtLoad) => {
                    Box::new(winograd::transformed(winograd, weight, constant).chain(bias))
                }
                _ => Box::new(std::iter::once(Part::whole(constant, weight)).chain(bias)),
            })
        });
        conv
    }

    /// The output channels.
    pub(crate) fn outputs(&self) -> u32 {
        self.matrix.columns
    }

    /// Its weights, of a pointwise convolution the matrix `[inputs][outputs]`.
    pub(crate) fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// Appends the convolution of an image: PyTorch's cross-correlation with zero padding, and the epilogue.
    pub(crate) fn write(
        &self,
        graph: &mut Graph<'_>,
        label: &str,
        x: impl Into<Input>,
        epilogue: Epilogue<'_>,
    ) -> Tensor {
        let x = x.into();
        let out = graph.tensor_as(epilogue.format.unwrap_or(x.tensor.format), label, self.out_shape(x.tensor));
        self.write_into(graph, label, x, epilogue, out)
    }

    /// [`Conv2d::write`] for kernels that take either kind of [`Graph::pixel_rows`]. Winograd's make tensors.
    pub(crate) fn write_rows(&self, graph: &mut Graph<'_>, label: &str, x: Tensor, epilogue: Epilogue<'_>) -> Tensor {
        let (format, shape) = (epilogue.format.unwrap_or(x.format), self.out_shape(x));
        let out = match self.algorithm {
            Algorithm::Pointwise | Algorithm::Implicit => graph.pixel_rows(format, label, shape),
            Algorithm::Winograd(..) => graph.tensor_as(format, label, shape),
        };
        self.write_into(graph, label, x.into(), epilogue, out)
    }

    fn out_shape(&self, x: Tensor) -> [u32; 4] {
        let [height, width] = [x.height, x.width].map(|size| self.geometry.out_size(size));
        [x.batch, height, width, self.outputs()]
    }

    fn write_into(
        &self,
        graph: &mut Graph<'_>,
        label: &str,
        Input { tensor: x, floor }: Input,
        epilogue: Epilogue<'_>,
        out: Tensor,
    ) -> Tensor {
        let geometry = self.geometry;
        graph.ensure_equal(label, x.channels, self.inputs);
        let (matrix, bias) = (&self.matrix, self.bias.as_ref());
        let product = Product { floor, bias, epilogue, ..Product::new(x.all(), matrix, out.all()) };
        let layer = Layer {
            kernel: geometry.kernel,
            stride: geometry.stride,
            batch: x.batch,
            height: x.height,
            width: x.width,
            inputs: x.channels,
            outputs: out.channels,
            f16: matrix.format.is_f16(),
            factors: graph.factors(x.format, matrix.format),
        };
        match self.algorithm {
            Algorithm::Pointwise => matmul(graph, label, &product),
            Algorithm::Winograd(kind, transform) => {
                let made = (transform == Transform::BeforeUse).then(|| winograd::weights(graph, label, kind, matrix));
                let matrix = made.as_ref().unwrap_or(matrix);
                // The transforms magnify what is rounded in sums.
                let factors = match graph.factors(winograd::format_of_patches(x, out), matrix.format) {
                    Factors::HalfSums => Factors::Half,
                    factors => factors,
                };
                let tiling = graph.tiling(&Layer { factors, ..layer }, Some(kind));
                winograd::conv2d(graph, label, kind, x, out, &Product { matrix, ..product }, tiling);
            }
            Algorithm::Implicit => {
                if geometry.padding == Padding::Same {
                    graph.ensure_equal(label, x.height, x.width);
                }
                let gather = Gather {
                    in_height: x.height,
                    in_width: x.width,
                    in_channels: x.channels / 4,
                    out_height: out.height,
                    out_width: out.width,
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_become_columns() {
        // 2 outputs, 1 input, 2 taps: padded to 2 inputs.
        let matrices = taps_inputs_outputs(&[1.0, 2.0, 3.0, 4.0], [2, 1, 2], 2);
        assert_eq!(matrices, [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
    }
}
