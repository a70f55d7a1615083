//! The smallest distances of each position: `nearest`, `nearest_prototype`.

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

/// What [`nearest_prototype`] finds distances from.
pub(crate) struct Products {
    /// `[positions][prototypes]`, phi . C.
    pub products: Tensor,
    /// The first of these among the positions of all images.
    pub first_position: u32,
    /// |phi|^2 of all positions.
    pub position_norms: Tensor,
    /// `[prototypes]`, |C|^2; so large a value that nothing is nearer leaves a prototype out.
    pub prototype_norms: Binding,
}

/// The distance of each position to its nearest prototype, `torch.cdist(phi, C).min(dim=1)`, into its place in `out`.
pub(crate) fn nearest_prototype(graph: &mut Graph<'_>, label: &str, of: Products, out: Tensor) {
    uniforms! {
        struct Params {
            prototypes: u32,
            first_position: u32,
            positions: u32,
        }
    }
    // Eight positions a workgroup.
    const POSITIONS: u32 = 8;
    let Products { products, first_position, position_norms, prototype_norms } = of;
    let params = Params { prototypes: products.channels / 4, first_position, positions: products.pixels() };
    let bindings = [Binding::read(products), Binding::read(position_norms), prototype_norms, Binding::write(out)];
    let workgroups = [products.pixels().div_ceil(POSITIONS), 1, 1];
    graph.dispatch(label, Kernel::new("nearest_prototype"), &params, bindings, workgroups);
}
