//! The smallest distances of each position: `nearest`, `nearest_ranked` and its gradient, `nearest_prototype`.

use super::groups_of_64;
use super::matmul::{Matrix, Product, matmul};
use crate::gpu::{Binding, Format, Graph, Kernel, Slice, Tensor, uniforms};

/// For each pixel of `squared` (its channels are the candidates) the square roots of the `out.channels` smallest,
/// ascending, into the rows of `out`.
pub(crate) fn nearest(graph: &mut Graph<'_>, label: &str, squared: Tensor, out: Slice) {
    select_nearest(graph, label, squared, out, None);
}

/// The nearest candidates of some positions: `[positions][K]` each.
#[derive(Clone, Copy)]
pub(crate) struct Ranked {
    /// In ascending order.
    pub distances: Tensor,
    /// Which candidates they belong to, u32 as bits. Of candidates equally far the first come first.
    pub indices: Tensor,
}

/// [`nearest`] into the rows of `out` from `first_row` on, and which candidates they are.
pub(crate) fn nearest_ranked(graph: &mut Graph<'_>, label: &str, squared: Tensor, out: Ranked, first_row: u32) {
    let Ranked { distances, indices } = out;
    graph.ensure_equal(label, indices.values(), distances.values());
    let part = distances.row_range(first_row, squared.pixels());
    select_nearest(graph, label, squared, part, Some(indices));
}

fn select_nearest(graph: &mut Graph<'_>, label: &str, squared: Tensor, out: Slice, indices: Option<Tensor>) {
    uniforms! {
        struct Params {
            candidates: u32,
            nearest: u32,
            first_row: u32,
        }
    }
    graph.ensure_equal(label, out.rows, squared.pixels());
    graph.ensure_inside(label, out);
    let (candidates, first_row) = (squared.channels / 4, out.first / out.stride());
    let params = Params { candidates, nearest: out.channels, first_row };
    let names = [("CUTS", graph.gpu().matmul.reads_textures()), ("INDICES", indices.is_some())];
    // The nearest, and the surplus of the last bucket.
    let sorted = f64::from(out.channels.next_power_of_two().max(8));
    let kernel = Kernel { constants: vec![("SORTED", sorted)], ..Kernel::with("nearest", names) };
    let outputs = [Some(out.tensor), indices].into_iter().flatten().map(Binding::write);
    let bindings: Vec<Binding> = [Binding::read(squared)].into_iter().chain(outputs).collect();
    graph.dispatch(label, kernel, &params, bindings, [squared.pixels(), 1, 1]);
}

/// The gradient of descriptors `phi` from that of their distances to the nearest of `prototypes`, a matrix of
/// `[prototypes][channels]`.
pub(crate) fn nearest_gradient(
    graph: &mut Graph<'_>,
    label: &str,
    phi: Tensor,
    prototypes: &Matrix,
    nearest: Ranked,
    dy: Tensor,
) -> Tensor {
    uniforms! {
        struct Params {
            channels: u32,
            nearest: u32,
        }
    }
    let Ranked { distances, indices } = nearest;
    graph.ensure_equal(label, [distances.pixels(), dy.pixels()], [phi.pixels(); 2]);
    let out = graph.tensor(label, phi.shape());
    let params = Params { channels: phi.channels / 4, nearest: distances.channels };
    let bindings = [
        Binding::read(phi),
        prototypes.binding(),
        Binding::read(distances),
        Binding::read(indices),
        Binding::read(dy),
        Binding::write(out),
    ];
    let workgroups = [groups_of_64(params.channels), phi.pixels(), 1];
    let kernel = Kernel::with("nearest_gradient", [("TEXTURE", graph.gpu().matmul.reads_textures())]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
    graph.estimate(phi.values() * u64::from(params.nearest));
    out
}

/// What [`nearest_prototype`] finds distances from.
pub(crate) struct Products {
    /// `[positions][prototypes]`, phi . C, [`Graph::rows`] of one matrix.
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
    // Of a workgroup.
    const POSITIONS: u32 = 4;
    let Products { products, first_position, position_norms, prototype_norms } = of;
    let params = Params { prototypes: products.channels / 4, first_position, positions: products.pixels() };
    let bindings = [Binding::read(products), Binding::read(position_norms), prototype_norms, Binding::write(out)];
    let workgroups = [products.pixels().div_ceil(POSITIONS), 1, 1];
    let kernel = Kernel::with("nearest_prototype", [("TEXTURE", graph.is_texture(products))]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
}

/// What positions have of products or distances exists for a band of them at a time, of about this many bytes.
pub(crate) const BAND_BYTES: u32 = 16 << 20;

/// What [`nearest_of`] compares with.
pub(crate) struct Prototypes<'a> {
    /// `[channels][prototypes]`.
    pub columns: &'a Matrix,
    /// `[prototypes]`, |C|^2, as [`Products::prototype_norms`].
    pub norms: Binding,
}

/// The distance of each position of `phi` to its nearest prototype, into its place in `out`; `position_norms` has
/// |phi|^2. Products exist for a band of positions at a time, so that any number of prototypes is within a device's
/// limits.
pub(crate) fn nearest_of(
    graph: &mut Graph<'_>,
    label: &str,
    [phi, position_norms]: [Tensor; 2],
    prototypes: &Prototypes<'_>,
    out: Tensor,
) {
    let columns = prototypes.columns.columns;
    // Far fewer workgroups than a dispatch may have.
    let band = (BAND_BYTES / (4 * columns)).clamp(1, 65535);
    for first_position in (0..phi.pixels()).step_by(band as usize) {
        let rows = phi.row_range(first_position, band.min(phi.pixels() - first_position));
        let label = format!("{label}.from{first_position}");
        let products = graph.rows(Format::F32, &format!("{label}.products"), [1, rows.rows, columns]);
        matmul(graph, &format!("{label}.products"), &Product::new(rows, prototypes.columns, products.all()));
        let prototype_norms = prototypes.norms.clone();
        let of = Products { products, first_position, position_norms, prototype_norms };
        nearest_prototype(graph, &format!("{label}.nearest"), of, out);
    }
}
