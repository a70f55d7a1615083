//! Which tensors may share memory: tensors that are never alive at the same step.

/// The steps during which a tensor holds something, both included, and its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lifetime {
    pub first: usize,
    pub last: usize,
    pub bytes: u64,
}

/// Places for tensors: for each tensor the place it is given, and each place's size.
#[derive(Debug)]
pub(crate) struct Plan {
    pub place_of: Vec<usize>,
    pub place_bytes: Vec<u64>,
}

/// Gives each tensor, in order of first use, the free place that needs the least growing.
pub(crate) fn plan(lifetimes: &[Lifetime]) -> Plan {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&tensor| (lifetimes[tensor].first, std::cmp::Reverse(lifetimes[tensor].bytes)));
    let mut place_of = vec![0; lifetimes.len()];
    let mut place_bytes: Vec<u64> = Vec::new();
    let mut busy_until: Vec<usize> = Vec::new();
    for tensor in order {
        let Lifetime { first, last, bytes } = lifetimes[tensor];
        let free = (0..place_bytes.len()).filter(|&place| busy_until[place] < first);
        // Growth first, then waste, so that a small tensor does not take the place of a large one.
        let best =
            free.min_by_key(|&place| (bytes.saturating_sub(place_bytes[place]), place_bytes[place].abs_diff(bytes)));
        let place = best.unwrap_or_else(|| {
            place_bytes.push(0);
            busy_until.push(0);
            place_bytes.len() - 1
        });
        place_bytes[place] = place_bytes[place].max(bytes);
        busy_until[place] = last;
        place_of[tensor] = place;
    }
    Plan { place_of, place_bytes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tensors_alive_together_never_share(
            raw in prop::collection::vec((0usize..40, 0usize..10, 1u64..1000), 1..60),
        ) {
            let lifetimes: Vec<Lifetime> =
                raw.iter().map(|&(first, length, bytes)| Lifetime { first, last: first + length, bytes }).collect();
            let plan = plan(&lifetimes);
            for (i, a) in lifetimes.iter().enumerate() {
                prop_assert!(plan.place_bytes[plan.place_of[i]] >= a.bytes);
                for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    prop_assert!(!together || plan.place_of[i] != plan.place_of[j]);
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_places() {
        let lifetimes: Vec<Lifetime> = (0..10).map(|i| Lifetime { first: i, last: i + 1, bytes: 100 }).collect();
        assert_eq!(plan(&lifetimes).place_bytes, [100, 100]);
    }
}
