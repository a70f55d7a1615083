/// A coreset by greedy k-centre selection (Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985),
/// in rounds: the numbers of at most `wanted` of the rows of `x`, `[rows][channels]`, in the order they are chosen.
///
/// Row i belongs to group `i % groups`. In each round the row of each group that is farthest from all chosen ones is a
/// candidate. The farthest candidate is chosen, then the next farthest as the distances now are, as long as its squared
/// distance is at least `nearly` times that of the round's first. Of rows equally far the first is taken. The first row
/// of all is chosen alone in the first round; copies of chosen rows never are. There are at most `rounds` rounds.
pub fn coreset(x: &[f32], channels: usize, wanted: usize, groups: usize, nearly: f64, rounds: usize) -> Vec<usize> {
    let row = |index: usize| &x[index * channels..][..channels];
    let squared = |a: usize, b: usize| -> f64 {
        row(a).iter().zip(row(b)).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
    };
    let rows = x.len() / channels;
    let mut nearest = vec![f64::MAX; rows];
    let mut chosen = Vec::new();
    let farther = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1));
    for _ in 0..rounds {
        let of_group = |group: usize| (group..rows).step_by(groups).map(|i| (nearest[i], i)).max_by(farther);
        let mut candidates: Vec<(f64, usize)> = (0..groups).filter_map(of_group).collect();
        let mut first = None;
        while let Some(&(distance, row)) = candidates.iter().max_by(|a, b| farther(a, b)) {
            let least = nearly * *first.get_or_insert(distance);
            if chosen.len() == wanted || distance <= 0.0 || distance < least {
                break;
            }
            chosen.push(row);
            for (reach, candidate) in &mut candidates {
                *reach = reach.min(squared(*candidate, row));
            }
            for (index, reach) in nearest.iter_mut().enumerate() {
                *reach = reach.min(squared(index, row));
            }
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on a line; by hand: 0, then the far end 9, then the middle of the largest gap.
    #[test]
    fn farthest_first() {
        let x = [0.0, 1.0, 4.0, 9.0, 9.0];
        assert_eq!(coreset(&x, 1, 9, 5, 1.0, 9), [0, 3, 2, 1], "the copy of 9 is not chosen");
        assert_eq!(coreset(&x, 1, 2, 5, 1.0, 9), [0, 3]);
        assert_eq!(coreset(&x, 1, 9, 5, 1.0, 3), [0, 3, 2]);
    }

    /// 6 and 10 are candidates of one round. 10 is farthest; 6 is then 4 from it, less than half of 10.
    #[test]
    fn candidates_wait_for_the_next_round_when_they_have_come_near() {
        let x = [0.0, 6.0, 10.0, -9.0];
        assert_eq!(coreset(&x, 1, 4, 4, 0.5, 9), [0, 2, 3, 1]);
    }
}
