//! The levels' distances as one anomaly map, `shaders/join_levels.wgsl`.

use crate::config::LEVELS;
use crate::gpu::{Binding, Constant, Graph, Kernel, Tensor, uniforms};

/// The share of a map's positions below the quantile that stands for how far all of an image is from the prototypes.
pub(crate) const QUANTILE: f64 = 0.25;

/// The sum over levels of `weight * x / clamp(quantile of x, low, high)` with `x = distances * normal`, the quantile
/// taken over each image and level; `[batch][grid][grid]`. `normal` holds `[levels][grid][grid]`, `bounds` weight, low,
/// high and the reciprocal of how uneven good parts are of each level: beyond that, by the mean of `x / clamp(..)`, the
/// image's sum is raised by the square of how much, the geometric mean of the levels.
pub(crate) fn join_levels(
    graph: &mut Graph<'_>,
    label: &str,
    distances: &[Tensor],
    normal: &Constant,
    bounds: &Constant,
) -> Tensor {
    uniforms! {
        struct Params {
            positions: u32,
            levels: u32,
            rank: u32,
        }
    }
    let first = distances[0];
    graph.ensure_equal(label, distances.len(), distances.len().min(LEVELS));
    for level in distances {
        graph.ensure_equal(label, level.shape(), [first.batch, first.height, first.width, 1]);
    }
    let out = graph.tensor(label, [first.batch, first.height, first.width, 1]);
    let positions = first.height * first.width;
    let levels = distances.len() as u32;
    graph.ensure_equal(label, [normal, bounds].map(Constant::values), [levels * positions, levels * 4].map(u64::from));
    let params = Params { positions, levels, rank: quantile_rank(positions) };
    let level = |index: usize| distances.get(index).map_or(Binding::UNUSED, |tensor| Binding::read(*tensor));
    let [distances_1, distances_2, distances_3]: [Binding; LEVELS] = [level(0), level(1), level(2)];
    let constants = [Binding::read(normal), Binding::read(bounds)];
    let [normal, bounds] = constants;
    let bindings = [distances_1, distances_2, distances_3, normal, bounds, Binding::write(out)];
    graph.dispatch(label, Kernel::new("join_levels"), &params, bindings, [first.batch, 1, 1]);
    out
}

/// The place of the quantile among as many values in rising order.
pub(crate) fn quantile_rank(positions: u32) -> u32 {
    (QUANTILE * f64::from(positions - 1)) as u32
}
