//! The smallest distances of each position, `shaders/nearest.wgsl`.

use crate::gpu::{Binding, Graph, Kernel, Slice, Tensor, uniforms};

/// For each pixel of `squared` (its channels are the candidates) the square roots of the `out.channels` smallest,
/// ascending, into the rows of `out`.
pub(crate) fn nearest(graph: &mut Graph<'_>, label: &str, squared: Tensor, out: Slice) {
    uniforms! {
        struct Params {
            candidates: u32,
            nearest: u32,
            first_row: u32,
        }
    }
    graph.ensure_equal(label, out.rows, squared.pixels());
    graph.ensure_inside(label, out);
    let params = Params { candidates: squared.channels, nearest: out.channels, first_row: out.first / out.stride() };
    // With room for the surplus of the last bucket.
    let sorted = f64::from(out.channels.next_power_of_two().max(8));
    let kernel = Kernel { constants: vec![("SORTED", sorted)], ..Kernel::new("nearest") };
    let bindings = [Binding::read(squared), Binding::write(out.tensor)];
    graph.dispatch(label, kernel, &params, bindings, [squared.pixels(), 1, 1]);
}
