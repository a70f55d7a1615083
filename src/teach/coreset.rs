//! The choice of prototypes: few rows that are near to all.

use super::comparison::square_norms;
use crate::Result;
use crate::gpu::{Gpu, Graph, read_buffers};
use crate::ops::{self, CANDIDATES, FAR, Selection};
use std::collections::HashSet;

/// Most rounds between two looks at how many rows are chosen.
const MOST_ROUNDS: u64 = 8;
/// Multiplications between them, where rounds are long: some tenths of a second on two cores, little on any graphics
/// card.
const MULTIPLICATIONS: u64 = 1 << 32;

/// Rounds between two looks at how many of so many rows are chosen.
fn rounds(rows: u32, channels: usize) -> usize {
    let of_a_round = u64::from(rows) * u64::from(CANDIDATES) * channels as u64;
    (MULTIPLICATIONS / of_a_round.max(1)).clamp(1, MOST_ROUNDS) as usize
}

/// Numbers of at most `wanted` rows of `[rows][channels]`, chosen by the greedy k-centre rule in the rounds of
/// [`reference::coreset`](crate::reference::coreset); fewer where fewer differ. `on_progress` is told how many are
/// chosen.
pub(crate) async fn coreset(
    gpu: &Gpu,
    rows: &[f32],
    channels: usize,
    wanted: u32,
    mut on_progress: impl FnMut(u32),
) -> Result<Vec<u32>> {
    let count = (rows.len() / channels) as u32;
    if count <= wanted {
        return Ok(different(rows, channels));
    }
    let mut graph = Graph::new(gpu, false);
    let mut external = |label: &str, shape| graph.external(label, shape);
    let selection = Selection {
        rows: external("coreset.rows", [1, count, 1, channels as u32]),
        norms: external("coreset.norms", [1, count, 1, 1]),
        nearest: external("coreset.nearest", [1, count, 1, 1]),
        candidates: external("coreset.candidates", [1, 1, 1, CANDIDATES]),
        reach: external("coreset.reach", [1, 1, 1, CANDIDATES]),
        chosen: external("coreset.chosen", [1, 1, 1, 1 + wanted]),
    };
    ops::coreset_rounds(&mut graph, "coreset", &selection, rounds(count, channels));
    let schedule = graph.finish().await?;
    let first: Vec<u32> = (0..CANDIDATES).map(|group| group.min(count - 1)).collect();
    let reach: Vec<f32> = (0..CANDIDATES).map(|group| if group < count { FAR } else { -1.0 }).collect();
    schedule.write(gpu, selection.rows, rows).await?;
    schedule.write(gpu, selection.norms, &square_norms(rows, channels)).await?;
    schedule.write(gpu, selection.nearest, &vec![FAR; count as usize]).await?;
    schedule.write(gpu, selection.candidates, &first).await?;
    schedule.write(gpu, selection.reach, &reach).await?;
    schedule.write(gpu, selection.chosen, &vec![0_u32; 1 + wanted as usize]).await?;
    let mut before = 0;
    loop {
        schedule.submit(gpu).await?;
        let buffer = schedule.buffer(selection.chosen);
        let chosen: Vec<u32> = read_buffers(gpu, &[(buffer, 4)]).await?.remove(0);
        let chosen = chosen[0];
        on_progress(chosen);
        super::give_way().await;
        if chosen >= wanted || chosen == before {
            let all: Vec<u32> = read_buffers(gpu, &[(buffer, selection.chosen.bytes())]).await?.remove(0);
            return Ok(all[1..=chosen as usize].to_vec());
        }
        before = chosen;
    }
}

/// The numbers of the rows that are no copies of earlier ones.
fn different(values: &[f32], channels: usize) -> Vec<u32> {
    let mut seen = HashSet::new();
    let mut is_new = |row: &[f32]| seen.insert(bytemuck::cast_slice::<_, u32>(row).to_vec());
    (0..).zip(values.chunks(channels)).filter_map(|(index, row)| is_new(row).then_some(index)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 2^32 over 64 times 30,000 x 112 are 19 rounds, over 32,768 x 1024 two.
    #[test]
    fn long_rounds_are_few() {
        assert_eq!([rounds(30_000, 112), rounds(32_768, 1024), rounds(1 << 24, 1024)], [8, 2, 1]);
    }

    #[test]
    fn copies_are_told_from_rows_that_differ() {
        assert_eq!(different(&[1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 1.0, 1.0], 2), [0, 1, 3]);
    }
}
