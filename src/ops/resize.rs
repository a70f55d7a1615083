//! Bilinear resizing: `resize`, `resize_through`, `resize_sum`, and the gradient of a resize.

use super::groups_of_64;
use crate::gpu::{Binding, Graph, Kernel, Slice, Tensor, uniforms};

/// `interpolate(x, mode="bilinear")` of f32 to the size of `out`'s tensor, into some of its channels.
pub(crate) fn resize(graph: &mut Graph<'_>, label: &str, x: Tensor, out: Slice, align_corners: bool) {
    uniforms! {
        struct Params {
            height: u32,
            width: u32,
            channels: u32,
            out_height: u32,
            out_width: u32,
            out_offset: u32,
            out_stride: u32,
            align_corners: u32,
        }
    }
    graph.ensure_equal(label, x.channels, out.channels);
    graph.ensure_inside(label, out);
    let params = Params {
        height: x.height,
        width: x.width,
        channels: x.channels / 4,
        out_height: out.tensor.height,
        out_width: out.tensor.width,
        out_offset: out.first / 4,
        out_stride: out.stride() / 4,
        align_corners: align_corners.into(),
    };
    let workgroups = [groups_of_64(params.out_width * params.channels), x.batch * params.out_height, 1];
    let bindings = [Binding::read(x), Binding::write(out.tensor)];
    let kernel = Kernel::with("resize", [("OUTPUT_F16", out.tensor.is_f16())]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
}

/// Two resizes with aligned corners, first to `through` x `through`, then to the size of `out`'s tensor, which is f32.
/// All square.
pub(crate) fn resize_through(graph: &mut Graph<'_>, label: &str, x: Tensor, through: u32, out: Slice) {
    uniforms! {
        struct Params {
            size: u32,
            through: u32,
            out_size: u32,
            channels: u32,
            out_offset: u32,
            out_stride: u32,
        }
    }
    graph.ensure_equal(label, x.channels, out.channels);
    graph.ensure_inside(label, out);
    let params = Params {
        size: x.width,
        through,
        out_size: out.tensor.width,
        channels: x.channels / 4,
        out_offset: out.first / 4,
        out_stride: out.stride() / 4,
    };
    let workgroups = [groups_of_64(params.out_size * params.channels), x.batch * params.out_size, 1];
    let bindings = [Binding::read(x), Binding::write(out.tensor)];
    let kernel = Kernel::with("resize_through", [("INPUT_F16", x.is_f16())]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
}

/// `relu(sum of interpolate(image, out_size, align_corners=True))` over square images that stand in `x` one side after
/// another, each for the whole batch.
pub(crate) fn resize_sum(
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    sides: &[u32],
    batch: u32,
    out_size: u32,
) -> Tensor {
    uniforms! {
        struct Params {
            sides: [u32; 8],
            count: u32,
            batch: u32,
            out_size: u32,
            channels: u32,
        }
    }
    let mut params = Params { sides: [0; 8], count: sides.len() as u32, batch, out_size, channels: x.channels / 4 };
    graph.ensure_equal(label, sides.len(), sides.len().min(params.sides.len()));
    graph.ensure_equal(label, x.pixels(), sides.iter().map(|side| batch * side * side).sum());
    params.sides.iter_mut().zip(sides).for_each(|(param, &side)| *param = side);
    let out = graph.tensor(label, [batch, out_size, out_size, x.channels]);
    let workgroups = [groups_of_64(out_size * params.channels), batch * out_size, 1];
    graph.dispatch(label, Kernel::new("resize_sum"), &params, [Binding::read(x), Binding::write(out)], workgroups);
    out
}

/// What happens to what a gradient is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gradient {
    /// It is the first, or the only one.
    New,
    /// It is added to those of other uses of the same tensor.
    Added,
}

/// The gradient of [`resize`] from the size of `out` to that of `dy`'s tensor: its transpose.
pub(crate) fn resize_gradient(
    graph: &mut Graph<'_>,
    label: &str,
    dy: Slice,
    out: Tensor,
    align_corners: bool,
    gradient: Gradient,
) {
    uniforms! {
        struct Params {
            height: u32,
            width: u32,
            channels: u32,
            out_height: u32,
            out_width: u32,
            dy_offset: u32,
            dy_stride: u32,
            align_corners: u32,
        }
    }
    graph.ensure_equal(label, [dy.tensor.batch, dy.channels], [out.batch, out.channels]);
    graph.ensure_inside(label, dy);
    // A map has a single channel; others come in fours.
    let in_fours = [out.channels, dy.first, dy.stride()].iter().all(|values| values % 4 == 0);
    let together = if in_fours { 4 } else { 1 };
    let params = Params {
        height: out.height,
        width: out.width,
        channels: out.channels / together,
        out_height: dy.tensor.height,
        out_width: dy.tensor.width,
        dy_offset: dy.first / together,
        dy_stride: dy.stride() / together,
        align_corners: align_corners.into(),
    };
    let workgroups = [groups_of_64(out.width * params.channels), out.batch * out.height, 1];
    let (is_added, out) = match gradient {
        Gradient::New => (false, Binding::write(out)),
        Gradient::Added => (true, Binding::update(out)),
    };
    let kernel = Kernel::with("resize_gradient", [("ADD", is_added), ("SINGLE", !in_fours)]);
    graph.dispatch(label, kernel, &params, [Binding::read(dy.tensor), out], workgroups);
}
