//! Rounds of the greedy k-centre selection, `shaders/coreset_*.wgsl`.

use super::matmul::rows_to_multiply;
use super::{Product, matmul, rows_as_columns};
use crate::gpu::{Binding, Format, Graph, Kernel, Tensor, uniforms};

/// Rows that are compared with all others at once.
pub(crate) const CANDIDATES: u32 = 64;
/// Squared distance of a row to the nearest chosen one while there is none.
pub(crate) const FAR: f32 = 3e38;
/// Share of the farthest candidate's squared distance from which on others are taken in the same round.
pub(crate) const NEARLY: f32 = 0.75;

/// What a selection works on; the host fills all but `chosen` before the first round.
#[derive(Clone, Copy)]
pub(crate) struct Selection {
    /// `[rows][channels]` to choose from.
    pub rows: Tensor,
    /// `[rows]`, |x|^2.
    pub norms: Tensor,
    /// `[rows]`, squared distance to the nearest chosen row: [`FAR`], or 0 for those that shall not be chosen.
    pub nearest: Tensor,
    /// `[CANDIDATES]` numbers of rows, as bits: the first ones.
    pub candidates: Tensor,
    /// `[CANDIDATES]`, what `nearest` has for the candidates; -1 where there are fewer rows.
    pub reach: Tensor,
    /// `[1 + wanted]` as bits: how many rows are chosen, then their numbers.
    pub chosen: Tensor,
}

/// Chooses more rows in so many rounds. A round chooses at least one while there are rows that differ from all chosen
/// ones and fewer are chosen than wanted.
pub(crate) fn coreset_rounds(graph: &mut Graph<'_>, label: &str, selection: &Selection, rounds: usize) {
    let left = rows_to_multiply(graph, label, selection.rows);
    for round in 0..rounds {
        coreset_round(graph, &format!("{label}.{round}"), selection, left);
    }
}

/// Chooses some more rows. `left` has all rows as products multiply them.
fn coreset_round(graph: &mut Graph<'_>, label: &str, selection: &Selection, left: Tensor) {
    let Selection { rows, norms, nearest, candidates, reach, chosen } = *selection;
    let columns = rows_as_columns(graph, &format!("{label}.columns"), rows, candidates);
    let products = graph.rows(Format::F32, &format!("{label}.products"), [1, rows.pixels(), CANDIDATES]);
    let names = [("TEXTURE", graph.is_texture(products))];
    let product = Product::new(left.all(), &columns, products.all());
    matmul(graph, &format!("{label}.products"), &product);

    uniforms! {
        struct Pick {
            wanted: u32,
            nearly: f32,
        }
    }
    let taken = graph.scratch(&format!("{label}.taken"), [1, 1, 1, CANDIDATES]);
    let params = Pick { wanted: chosen.channels - 1, nearly: NEARLY };
    let bindings = [
        Binding::read(products),
        Binding::read(norms),
        Binding::read(candidates),
        Binding::read(reach),
        Binding::write(taken),
        Binding::update(chosen),
    ];
    graph.dispatch(&format!("{label}.pick"), Kernel::with("coreset_pick", names), &params, bindings, [1, 1, 1]);

    uniforms! {
        struct Update {
            rows: u32,
        }
    }
    let bindings = [
        Binding::read(products),
        Binding::read(norms),
        Binding::read(taken),
        Binding::update(nearest),
        Binding::write(candidates),
        Binding::write(reach),
    ];
    let kernel = Kernel::with("coreset_update", names);
    graph.dispatch(&format!("{label}.update"), kernel, &Update { rows: rows.pixels() }, bindings, [CANDIDATES, 1, 1]);
}
