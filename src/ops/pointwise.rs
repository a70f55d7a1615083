//! Operations on each pixel alone: `normalize`, `pack_nchw`, `square_norm`.

use super::groups_of_64;
use crate::config::Normalization;
use crate::gpu::{Binding, Constant, Graph, Kernel, Tensor, uniforms};

/// 8-bit RGBA pixels (one u32 each, a tensor of one channel) to `(x / 255 - mean) / deviation`, RGB and a zero channel,
/// as the graph stores activations.
pub(crate) fn normalize(graph: &mut Graph<'_>, pixels: Tensor, normalization: Normalization) -> Tensor {
    uniforms! {
        struct Params {
            mean: [f32; 4],
            deviation: [f32; 4],
            width: u32,
            // WGSL rounds a struct's size up to its largest alignment.
            _padding: [u32; 3],
        }
    }
    let Normalization { mean, deviation } = normalization;
    let [mean, deviation] = [(mean, 0.0), (deviation, 1.0)].map(|([r, g, b], a)| [r, g, b, a]);
    let params = Params { mean, deviation, width: pixels.width, _padding: [0; 3] };
    let out = graph.tensor_as(graph.activations(), "input", [pixels.batch, pixels.height, pixels.width, 4]);
    let workgroups = [groups_of_64(pixels.width), pixels.batch * pixels.height, 1];
    let bindings = [Binding::read(pixels), Binding::write(out)];
    let kernel = Kernel::with("normalize", [("OUTPUT_F16", out.is_f16())]);
    graph.dispatch("normalize", kernel, &params, bindings, workgroups);
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
    let out = graph.tensor(label, [x.batch, x.height, x.width, 1]);
    let params = Params { pixels: x.pixels(), channels: x.channels / 4 };
    let workgroups = [groups_of_64(params.pixels), 1, 1];
    let bindings = [Binding::read(x), Binding::read(center), Binding::write(out)];
    graph.dispatch(label, Kernel::new("square_norm"), &params, bindings, workgroups);
    out
}
