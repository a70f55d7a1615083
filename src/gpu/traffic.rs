//! What the steps of a network move, and where they wait for one another.

use super::allocation::Allocation;
use super::binding::{Access, Binding, Operand};
use std::collections::HashSet;
use std::hash::Hash;

/// Bytes of all tensors and constants at some bindings, each counted once, as if caches were perfect. What others made
/// does not count: it is not known how much of it the kernel looks at.
pub(super) fn bytes(bindings: &[Binding]) -> u64 {
    let of = |binding: &Binding| match &binding.operand {
        Operand::Tensor(tensor) => tensor.bytes(),
        Operand::Constant(constant) => constant.bytes(),
        Operand::Foreign(_) | Operand::Nothing => 0,
    };
    bindings.iter().map(of).sum()
}

/// For each step, given by its bindings, whether it waits for earlier ones.
pub(super) fn waits<'a>(steps: impl Iterator<Item = &'a [Binding]>, allocation: &Allocation) -> Vec<bool> {
    let touched = |bindings: &'a [Binding]| {
        let touch = |binding: &Binding| {
            let writes = matches!(binding.access, Access::Write | Access::Update);
            binding.tensor().map(|tensor| (allocation.memory(tensor), writes))
        };
        bindings.iter().filter_map(touch).collect()
    };
    barriers(steps.map(touched))
}

/// For each step, given by the places it touches and whether it writes them, whether a barrier stands before it: it
/// touches what was written, or writes what was read, since the last barrier.
fn barriers<Place: Copy + Eq + Hash>(steps: impl Iterator<Item = Vec<(Place, bool)>>) -> Vec<bool> {
    let (mut read, mut written) = (HashSet::new(), HashSet::new());
    let barrier = |touched: Vec<(Place, bool)>| {
        let conflicts =
            |&(place, writes): &(Place, bool)| written.contains(&place) || (writes && read.contains(&place));
        let waits = touched.iter().any(conflicts);
        if waits {
            read.clear();
            written.clear();
        }
        for (place, writes) in touched {
            let places = if writes { &mut written } else { &mut read };
            places.insert(place);
        }
        waits
    };
    steps.map(barrier).collect()
}

#[cfg(test)]
mod tests {
    use super::barriers;

    #[test]
    fn a_barrier_stands_where_memory_is_touched_again() {
        const READ: bool = false;
        const WRITE: bool = true;
        let steps = [
            vec![('a', READ), ('b', WRITE)],
            // Beside the first: reads the same, writes another.
            vec![('a', READ), ('c', WRITE)],
            // Reads what both wrote.
            vec![('b', READ), ('c', READ), ('d', WRITE)],
            // `b` and `c` are only read since the barrier.
            vec![('b', READ), ('e', WRITE)],
            // Writes what is being read.
            vec![('c', WRITE)],
            vec![('e', READ), ('f', WRITE)],
            // Writes what is being written.
            vec![('f', WRITE)],
        ];
        assert_eq!(barriers(steps.into_iter()), [false, false, true, false, true, false, true]);
    }
}
