//! Whether parts lie at any angle: photographs compared with turned ones.

use super::bank::statistics;
use super::comparison::{Comparison, LEFT_OUT, square_norms};
use super::features::{FeatureRun, ViewFeatures};
use super::poses::{PoseDecision, TURNS, View};
use crate::gpu::Gpu;
use crate::image::RgbImage;
use crate::{ModelConfig, Result};

/// Photographs that are compared, and how many of them are turned: their pairs tell, more would only take longer.
const COMPARED: usize = 8;
const TURNED: usize = 4;

/// Whether turning a photograph brings it nearer to the others than leaving it. `on_progress` is told how many
/// photographs of how many are described.
pub(super) async fn decide_poses(
    gpu: &Gpu,
    run: &FeatureRun<'_>,
    photographs: &[&RgbImage],
    config: &ModelConfig,
    mut on_progress: impl FnMut(usize, usize),
) -> Result<PoseDecision> {
    let some = &photographs[..photographs.len().min(COMPARED)];
    let turns = TURNS.map(|degrees| View::turned(degrees, config.input, config.grid / 2));
    let mut features = Vec::with_capacity(some.len());
    for (done, photograph) in some.iter().enumerate() {
        on_progress(done, some.len());
        let views = if done < TURNED { &turns[..] } else { &turns[..1] };
        features.push(run.run(photograph, views).await?);
    }
    let Coarse { positions, channels, rows } = Coarse::of(&features, config.grid as usize);
    let upright: Vec<f32> = rows.iter().flat_map(|views| &views[0]).copied().collect();
    let queries = (some.len() * positions) as u32;
    let comparison = Comparison::new(gpu, [queries, positions as u32, channels as u32]).await?;
    let mut pairs = Vec::new();
    for (turned, poses) in rows.iter().enumerate().take(TURNED) {
        let mut with_turned = vec![[0.0; TURNS.len()]; some.len()];
        for (turn, (view, prototypes)) in turns.iter().zip(poses).enumerate() {
            comparison.set_prototypes(prototypes).await?;
            let norms = square_norms(prototypes, channels).into_iter().zip(&view.valid);
            let norms: Vec<f32> = norms.map(|(norm, valid)| if *valid { norm } else { LEFT_OUT }).collect();
            let distances = comparison.distances(&upright, &norms).await?;
            for (pair, distances) in with_turned.iter_mut().zip(distances.chunks(positions)) {
                pair[turn] = distances.iter().map(|distance| f64::from(*distance)).sum::<f64>() / positions as f64;
            }
        }
        // A photograph is no pair with itself.
        with_turned.remove(turned);
        pairs.append(&mut with_turned);
    }
    Ok(PoseDecision::of_pairs(&pairs))
}

/// Descriptors of photographs in some views at half the grid's resolution, of the two coarser levels together: each
/// channel has unit deviation over the upright photographs, and both levels weigh the same.
struct Coarse {
    positions: usize,
    channels: usize,
    /// Of each photograph and view `[positions][channels]`.
    rows: Vec<Vec<Vec<f32>>>,
}

impl Coarse {
    /// From the features of photographs in some views, of which the first is upright.
    fn of(features: &[Vec<ViewFeatures>], grid: usize) -> Self {
        let halves = |view: &ViewFeatures| view[1..].iter().map(|level| halved(level, grid)).collect::<ViewFeatures>();
        let maps: Vec<Vec<ViewFeatures>> = features.iter().map(|views| views.iter().map(halves).collect()).collect();
        let positions = (grid / 2).pow(2);
        let factors_of = |level: usize| -> Vec<f32> {
            let upright: Vec<f32> = maps.iter().flat_map(|views| views[0][level].iter().copied()).collect();
            let channels = upright.len() / (positions * maps.len());
            let (_, deviation) = statistics(&upright, channels);
            deviation.iter().map(|deviation| 1.0 / (deviation * (channels as f32).sqrt())).collect()
        };
        let factors: Vec<Vec<f32>> = (0..maps[0][0].len()).map(factors_of).collect();
        let joined = |view: &ViewFeatures| -> Vec<f32> {
            let row = |(map, factors): (&Vec<f32>, &Vec<f32>), position: usize| -> Vec<f32> {
                let row = &map[position * factors.len()..][..factors.len()];
                row.iter().zip(factors).map(|(value, factor)| value * factor).collect()
            };
            (0..positions)
                .flat_map(|position| view.iter().zip(&factors).flat_map(move |level| row(level, position)))
                .collect()
        };
        let rows = maps.iter().map(|views| views.iter().map(joined).collect()).collect();
        Self { positions, channels: factors.iter().map(Vec::len).sum(), rows }
    }
}

/// The means of 2 x 2 positions of `[grid * grid][channels]`.
fn halved(map: &[f32], grid: usize) -> Vec<f32> {
    let (half, channels) = (grid / 2, map.len() / (grid * grid));
    let at = |row: usize, column: usize, channel: usize| map[(row * grid + column) * channels + channel];
    let mut out = Vec::with_capacity(half * half * channels);
    for (row, column) in (0..half).flat_map(|row| (0..half).map(move |column| (2 * row, 2 * column))) {
        out.extend((0..channels).map(|channel| {
            let upper = at(row, column, channel) + at(row, column + 1, channel);
            (upper + at(row + 1, column, channel) + at(row + 1, column + 1, channel)) / 4.0
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_means() {
        let map: Vec<f32> = (0..16).flat_map(|index| [index as f32, 1.0]).collect();
        assert_eq!(halved(&map, 4), [2.5, 1.0, 4.5, 1.0, 10.5, 1.0, 12.5, 1.0]);
    }
}
