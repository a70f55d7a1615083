//! Features as standardised descriptors on the grid, `shaders/describe.wgsl`.

use super::groups_of_64;
use crate::gpu::{Binding, Constant, Graph, Kernel, Tensor, uniforms};

/// The 3 x 3 mean of `x` (`avg_pool2d(3, stride=1, padding=1)`), resized to `grid` x `grid` (bilinear,
/// `align_corners=False`), less the mean and over the deviation of each channel. `center` holds the means, then the
/// reciprocals of the deviations, `[2][channels]`.
pub(crate) fn describe(graph: &mut Graph<'_>, label: &str, x: Tensor, center: &Constant, grid: u32) -> Tensor {
    uniforms! {
        struct Params {
            height: u32,
            width: u32,
            channels: u32,
            grid: u32,
        }
    }
    graph.ensure_equal(label, center.values(), 2 * u64::from(x.channels));
    let out = graph.tensor(label, [x.batch, grid, grid, x.channels]);
    let params = Params { height: x.height, width: x.width, channels: x.channels / 4, grid };
    let workgroups = [groups_of_64(grid * params.channels), x.batch * grid, 1];
    let bindings = [Binding::read(x), Binding::read(center), Binding::write(out)];
    let kernel = Kernel::with("describe", [("INPUT_F16", x.is_f16())]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
    out
}
