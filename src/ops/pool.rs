//! Pooling: `max_pool`, `avg_pool`, `adaptive_pool` and its gradient.

use super::groups_of_64;
use crate::gpu::{Binding, Graph, Kernel, Slice, Tensor, uniforms};

/// `MaxPool2d(3, stride=2, padding=1)`, in the format of `x`.
pub(crate) fn max_pool(graph: &mut Graph<'_>, label: &str, x: Tensor) -> Tensor {
    uniforms! {
        struct Params {
            height: u32,
            width: u32,
            channels: u32,
            out_height: u32,
            out_width: u32,
        }
    }
    let (out_height, out_width) = (x.height.div_ceil(2), x.width.div_ceil(2));
    let out = graph.tensor_as(x.format, label, [x.batch, out_height, out_width, x.channels]);
    let params = Params { height: x.height, width: x.width, channels: x.channels / 4, out_height, out_width };
    let workgroups = [groups_of_64(out_width * params.channels), x.batch * out_height, 1];
    let kernel = Kernel::with("max_pool", [("INPUT_F16", x.is_f16()), ("OUTPUT_F16", out.is_f16())]);
    graph.dispatch(label, kernel, &params, [Binding::read(x), Binding::write(out)], workgroups);
    out
}

/// `avg_pool2d(3, stride=1, padding=1)`, padding counted. Always f32: descriptors are made of it.
pub(crate) fn avg_pool(graph: &mut Graph<'_>, label: &str, x: Tensor) -> Tensor {
    uniforms! {
        struct Params {
            height: u32,
            width: u32,
            channels: u32,
        }
    }
    let out = graph.tensor(label, x.shape());
    let params = Params { height: x.height, width: x.width, channels: x.channels / 4 };
    let workgroups = [groups_of_64(x.width * params.channels), x.batch * x.height, 1];
    let kernel = Kernel::with("avg_pool", [("INPUT_F16", x.is_f16())]);
    graph.dispatch(label, kernel, &params, [Binding::read(x), Binding::write(out)], workgroups);
    out
}

/// `adaptive_avg_pool2d` of the leading `out.channels` channels of a square `x` of f32 into the leading ones of a
/// square `out`.
pub(crate) fn adaptive_pool(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Slice) {
    uniforms! {
        struct Params {
            size: u32,
            stride: u32,
            channels: u32,
            out_size: u32,
            out_stride: u32,
        }
    }
    graph.ensure_equal(label, out.first, 0);
    graph.ensure_inside(label, out);
    let params = Params {
        size: x.width,
        stride: x.channels / 4,
        channels: out.channels / 4,
        out_size: out.tensor.width,
        out_stride: out.stride() / 4,
    };
    let workgroups = [groups_of_64(params.out_size * params.channels), x.batch * params.out_size, 1];
    let bindings = [Binding::read(x), Binding::write(out.tensor)];
    let kernel = Kernel::with("adaptive_pool", [("OUTPUT_F16", out.tensor.is_f16())]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
}

/// Adds the gradient of [`adaptive_pool`] to `out`, that of its input; `dy` are the leading channels that it wrote.
pub(crate) fn adaptive_pool_gradient(graph: &mut Graph<'_>, label: &str, dy: Slice, out: Tensor) {
    uniforms! {
        struct Params {
            size: u32,
            stride: u32,
            channels: u32,
            out_size: u32,
            dy_stride: u32,
        }
    }
    graph.ensure_equal(label, [dy.first, dy.tensor.batch], [0, out.batch]);
    graph.ensure_inside(label, dy);
    let params = Params {
        size: out.width,
        stride: out.channels / 4,
        channels: dy.channels / 4,
        out_size: dy.tensor.width,
        dy_stride: dy.stride() / 4,
    };
    let workgroups = [groups_of_64(params.size * params.channels), out.batch * params.size, 1];
    let bindings = [Binding::read(dy.tensor), Binding::update(out)];
    graph.dispatch(label, Kernel::new("adaptive_pool_gradient"), &params, bindings, workgroups);
}
