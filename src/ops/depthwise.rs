//! Depthwise convolutions, `shaders/depthwise.wgsl`.

use super::activation::Activation;
use super::conv2d::Geometry;
use super::groups_of_64;
use crate::gpu::{Binding, Graph, Kernel, Tensor};

/// One kernel for each channel.
pub(crate) struct Depthwise {
    pub geometry: Geometry,
    /// `[kernel * kernel][channels]`, f32.
    pub weight: wgpu::Buffer,
    pub bias: wgpu::Buffer,
}

/// `activation(conv2d(x, groups=channels) + bias)`, in the format of `x`.
pub(crate) fn depthwise(
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    conv: &Depthwise,
    activation: Activation,
) -> Tensor {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::NoUninit)]
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
    let [out_height, out_width] = [x.height, x.width].map(|size| conv.geometry.out_size(size));
    let out = graph.tensor_as(x.format, label, [x.batch, out_height, out_width, x.channels]);
    let params = Params {
        height: x.height,
        width: x.width,
        channels: x.channels / 4,
        out_height,
        out_width,
        kernel: conv.geometry.kernel,
        stride: conv.geometry.stride,
        padding: conv.geometry.padding_before(x.width),
        slope: activation.slope,
        ceiling: activation.ceiling,
    };
    let bindings =
        [Binding::Read(x), Binding::Constant(&conv.weight), Binding::Constant(&conv.bias), Binding::Write(out)];
    let workgroups = [groups_of_64(out_width * params.channels), x.batch * out_height, 1];
    let kernel = Kernel::with("depthwise", [("INPUT_F16", x.is_f16()), ("OUTPUT_F16", out.is_f16())]);
    graph.dispatch(label, kernel, &params, &bindings, workgroups);
    out
}
