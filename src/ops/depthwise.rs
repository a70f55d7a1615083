//! Depthwise convolutions, `shaders/depthwise.wgsl`.

use super::activation::Activation;
use super::conv2d::{Convolution, Geometry};
use super::groups_of_64;
use crate::gpu::{Binding, Constant, Format, Graph, Kernel, Tensor, uniforms};
use crate::parameters::{Parameters, Part};

/// A convolution with one kernel for each channel.
pub(crate) struct Depthwise {
    geometry: Geometry,
    /// `[kernel * kernel][channels]`.
    weight: Constant,
    bias: Constant,
}

impl Depthwise {
    /// Declares a convolution with one input channel for each output channel.
    pub(crate) fn new(parameters: &mut Parameters<'_>, convolution: Convolution) -> Self {
        let Convolution { outputs, geometry, .. } = convolution;
        let taps = geometry.kernel.pow(2);
        let weight = parameters.matrix(format!("{}.weight", convolution.name), [1, taps, outputs], Format::F32);
        let bias = parameters.vector(format!("{}.bias", convolution.name), outputs);
        let depthwise = Self { geometry, weight: weight.clone(), bias: bias.clone() };
        parameters.declare(convolution.parameters(), move |values| {
            let (weight_values, bias_values) = convolution.fold(values, 1)?;
            let bias_values = bias_values.unwrap_or_else(|| vec![0.0; outputs as usize]);
            Ok(Box::new([Part::whole(weight, weight_values), Part::whole(bias, bias_values)].into_iter()))
        });
        depthwise
    }

    /// Appends `activation(conv2d(x, groups=channels) + bias)`, stored as `x` is.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, label: &str, x: Tensor, activation: Activation) -> Tensor {
        uniforms! {
            struct Params {
                height: u32,
                width: u32,
                channels: u32,
                out_height: u32,
                out_width: u32,
                kernel: u32,
                stride: u32,
                padding: u32,
                slope: f32,
                ceiling: f32,
            }
        }
        let [out_height, out_width] = [x.height, x.width].map(|size| self.geometry.out_size(size));
        let shape = [x.batch, out_height, out_width, x.channels];
        let is_rows = graph.is_texture(x);
        let out =
            if is_rows { graph.pixel_rows(x.format, label, shape) } else { graph.tensor_as(x.format, label, shape) };
        let params = Params {
            height: x.height,
            width: x.width,
            channels: x.channels / 4,
            out_height,
            out_width,
            kernel: self.geometry.kernel,
            stride: self.geometry.stride,
            padding: self.geometry.padding_before(x.width),
            slope: activation.slope,
            ceiling: activation.ceiling,
        };
        let bindings = [Binding::read(x), Binding::read(&self.weight), Binding::read(&self.bias), Binding::write(out)];
        // An invocation computes 4 pixels of a row.
        let workgroups = [groups_of_64(out_width.div_ceil(4) * params.channels), x.batch * out_height, 1];
        let names = [
            ("WEIGHT_TEXTURE", graph.gpu().matmul.reads_textures()),
            ("ROWS", is_rows),
            ("INPUT_F16", x.is_f16()),
            ("OUTPUT_F16", out.is_f16()),
        ];
        let kernel = Kernel::with("depthwise", names);
        graph.dispatch(label, kernel, &params, bindings, workgroups);
        out
    }
}
