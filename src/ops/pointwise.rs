//! Operations on each pixel alone: `normalize` (after `light`, which sees a whole image), `pack_nchw`, `square_norm`,
//! `scale_channels`, and a relu's gradient.

use super::groups_of_64;
use crate::config::{Light, Normalization};
use crate::gpu::{Binding, Constant, Graph, Kernel, Slice, Tensor, uniforms};

/// 8-bit RGBA pixels (one u32 each, a tensor of one channel) to `(x / 255 - mean) / deviation`, RGB and a zero channel,
/// as the graph stores activations; each image is brought to a light first, where one is given.
pub(crate) fn normalize(
    graph: &mut Graph<'_>,
    pixels: Tensor,
    normalization: Normalization,
    wanted: Option<Light>,
) -> Tensor {
    uniforms! {
        struct Params {
            mean: [f32; 4],
            deviation: [f32; 4],
            width: u32,
            height: u32,
            // WGSL rounds a struct's size up to its largest alignment.
            _padding: [u32; 2],
        }
    }
    let Normalization { mean, deviation } = normalization;
    let [mean, deviation] = [(mean, 0.0), (deviation, 1.0)].map(|([r, g, b], a)| [r, g, b, a]);
    let params = Params { mean, deviation, width: pixels.width, height: pixels.height, _padding: [0; 2] };
    let out = graph.tensor_as(graph.activations(), "input", [pixels.batch, pixels.height, pixels.width, 4]);
    let workgroups = [groups_of_64(pixels.width), pixels.batch * pixels.height, 1];
    let light = wanted.map(|wanted| Binding::read(light(graph, pixels, wanted)));
    let kernel = Kernel::with("normalize", [("OUTPUT_F16", out.is_f16()), ("LIGHT", light.is_some())]);
    let bindings: Vec<Binding> = [Binding::read(pixels), Binding::write(out)].into_iter().chain(light).collect();
    graph.dispatch("normalize", kernel, &params, bindings, workgroups);
    out
}

/// The gain and offset that bring each of the images to a light, `[batch][2]`: [`Light::change_from`] on the GPU.
fn light(graph: &mut Graph<'_>, pixels: Tensor, Light { level, contrast }: Light) -> Tensor {
    uniforms! {
        struct Params {
            level: f32,
            contrast: f32,
            most: f32,
            pixels: u32,
            ranks: [u32; 3],
            // WGSL rounds a struct's size up to its largest alignment.
            _padding: u32,
        }
    }
    let count = pixels.height * pixels.width;
    let ranks = Light::ranks(count);
    let params = Params { level, contrast, most: Light::MOST_GAIN, pixels: count, ranks, _padding: 0 };
    let out = graph.tensor("light", [pixels.batch, 1, 1, 2]);
    let bindings = [Binding::read(pixels), Binding::write(out)];
    graph.dispatch("light", Kernel::new("light"), &params, bindings, [pixels.batch, 1, 1]);
    out
}

/// A `[batch][3][height][width]` tensor of f32 (bound as `planes`, any shape of as many elements) to channels last with
/// a zero fourth channel, as the graph stores activations.
pub(crate) fn pack_nchw(graph: &mut Graph<'_>, planes: Tensor, [batch, height, width]: [u32; 3]) -> Tensor {
    uniforms! {
        struct Params {
            width: u32,
            height: u32,
        }
    }
    let out = graph.tensor_as(graph.activations(), "input", [batch, height, width, 4]);
    let workgroups = [groups_of_64(width), batch * height, 1];
    let bindings = [Binding::read(planes), Binding::write(out)];
    let kernel = Kernel::with("pack_nchw", [("OUTPUT_F16", out.is_f16())]);
    graph.dispatch("pack_nchw", kernel, &Params { width, height }, bindings, workgroups);
    out
}

/// The squared distance of each pixel's channels from `center`, `[pixels]`.
pub(crate) fn square_norm(graph: &mut Graph<'_>, label: &str, x: Tensor, center: &Constant) -> Tensor {
    uniforms! {
        struct Params {
            pixels: u32,
            channels: u32,
        }
    }
    graph.ensure_equal(label, center.values(), x.channels.into());
    let out = graph.tensor(label, [x.batch, x.height, x.width, 1]);
    let params = Params { pixels: x.pixels(), channels: x.channels / 4 };
    let workgroups = [groups_of_64(params.pixels), 1, 1];
    let bindings = [Binding::read(x), Binding::read(center), Binding::write(out)];
    graph.dispatch(label, Kernel::new("square_norm"), &params, bindings, workgroups);
    out
}

/// Each channel of each image of `x` times its factor, `[batch][1][1][channels]`: `Dropout2d` and, as it is its own
/// transpose, the gradient of one.
pub(crate) fn scale_channels(graph: &mut Graph<'_>, label: &str, x: Tensor, factors: Tensor) -> Tensor {
    uniforms! {
        struct Params {
            pixels: u32,
            channels: u32,
        }
    }
    graph.ensure_equal(label, factors.values(), u64::from(x.batch) * u64::from(x.channels));
    let out = graph.tensor(label, x.shape());
    let params = Params { pixels: x.height * x.width, channels: x.channels / 4 };
    let workgroups = [groups_of_64(params.channels), x.pixels(), 1];
    let bindings = [Binding::read(x), Binding::read(factors), Binding::write(out)];
    graph.dispatch(label, Kernel::new("scale_channels"), &params, bindings, workgroups);
    out
}

/// A relu, as its gradient sees it.
#[derive(Clone, Copy)]
pub(crate) struct Relu {
    /// Its output.
    pub output: Slice,
    /// What the output has had added to it, [`Residual::After`](super::Residual::After). Where the relu's own value
    /// is so small that adding it changes nothing, it is taken for 0.
    pub base: Option<Slice>,
}

/// The gradient of a relu's input from that of its output, which is `dy` and, where the output is used twice, `more`.
pub(crate) fn relu_gradient(graph: &mut Graph<'_>, label: &str, relu: Relu, dy: Slice, more: Option<Tensor>) -> Tensor {
    uniforms! {
        struct Params {
            channels: u32,
            dy_offset: u32,
            dy_stride: u32,
            y_offset: u32,
            y_stride: u32,
            has_more: u32,
            has_base: u32,
            base_offset: u32,
            base_stride: u32,
        }
    }
    let Relu { output, base } = relu;
    for slice in [Some(dy), base, more.map(Tensor::all)].into_iter().flatten() {
        graph.ensure_equal(label, [slice.rows, slice.channels], [output.rows, output.channels]);
        graph.ensure_inside(label, slice);
    }
    let Tensor { batch, height, width, .. } = output.tensor;
    let out = graph.tensor(label, [batch, height, width, output.channels]);
    let params = Params {
        channels: output.channels / 4,
        dy_offset: dy.first / 4,
        dy_stride: dy.stride() / 4,
        y_offset: output.first / 4,
        y_stride: output.stride() / 4,
        has_more: more.is_some().into(),
        has_base: base.is_some().into(),
        base_offset: base.map_or(0, |base| base.first / 4),
        base_stride: base.map_or(0, |base| base.stride() / 4),
    };
    let bindings = [
        Binding::read(dy.tensor),
        Binding::read(output.tensor),
        base.map_or(Binding::UNUSED, |base| Binding::read(base.tensor)),
        more.map_or(Binding::UNUSED, Binding::read),
        Binding::write(out),
    ];
    let workgroups = [groups_of_64(params.channels), output.rows, 1];
    graph.dispatch(label, Kernel::new("relu_gradient"), &params, bindings, workgroups);
    out
}
