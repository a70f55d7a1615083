//! The prototypes of one level.

use super::comparison::{LEFT_OUT, square_norms};
use super::coreset::coreset;
use super::features::ViewFeatures;
use super::poses::View;
use super::rows::transposed;
use super::whitening::{Scatter, Whitening};
use crate::Result;
use crate::gpu::Gpu;
use crate::random::SplitMix;

/// Descriptors that prototypes are chosen from, former prototypes included. More are drawn from at random: neighbouring
/// positions and poses are alike.
const POOL: usize = 30_000;
/// What they may be at most, where views do not divide them: 1024 channels of so many are as large as WebGPU lets any
/// device bind.
const MOST: usize = 32_768;

/// Descriptors of some photographs, of all levels.
pub(super) struct Pool {
    levels: Vec<Rows>,
    /// Most rows of all views.
    room: u64,
    views: u64,
    /// Views that were added.
    added: u64,
    random: SplitMix,
}

/// Descriptors of one level, and whose they are.
#[derive(Clone, Default)]
pub(super) struct Rows {
    values: Vec<f32>,
    owners: Vec<u32>,
}

impl Pool {
    /// Room for some views of photographs, beside so many former prototypes of a level.
    pub(super) fn new(levels: usize, views: usize, former: usize, seed: u64) -> Self {
        let former = former.min(POOL);
        let room = (POOL - former).next_multiple_of(views).min(MOST - former) as u64;
        Self { levels: vec![Rows::default(); levels], room, views: views as u64, added: 0, random: SplitMix(seed) }
    }

    /// Most rows of the next view. All have as many, or one more or less where there is no room for that.
    fn next_share(&mut self) -> usize {
        let before = self.added * self.room / self.views;
        self.added += 1;
        (self.added * self.room / self.views - before) as usize
    }

    /// Takes the features of a photograph's view at its valid positions, or at as many of them as there is room for.
    pub(super) fn add(&mut self, owner: u32, view: &View, features: ViewFeatures) {
        let positions = view.valid.len();
        let valid = (0..positions).filter(|position| view.valid[*position]).collect();
        let share = self.next_share();
        let mut drawn = self.random.draw(valid, share);
        drawn.sort_unstable();
        for (rows, level) in self.levels.iter_mut().zip(features) {
            let channels = level.len() / positions;
            for position in &drawn {
                rows.values.extend_from_slice(&level[position * channels..][..channels]);
                rows.owners.push(owner);
            }
        }
    }

    pub(super) fn levels(self) -> Vec<Rows> {
        self.levels
    }
}

/// The prototypes of one level.
pub(super) struct Bank {
    pub mean: Vec<f32>,
    pub deviation: Vec<f32>,
    pub whitening: Whitening,
    /// `[prototypes][channels]` as they are compared, rounded to f16.
    rows: Vec<f32>,
    /// The photograph each is of.
    owners: Vec<u32>,
    /// How many differ; the last is repeated to a multiple of 4.
    pub distinct: u32,
    /// Where the whitening is that of these photographs.
    source: Option<Source>,
}

/// What is asked of a bank.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    /// Most prototypes.
    pub prototypes: u32,
    /// Whether descriptors are whitened.
    pub whitened: bool,
}

/// What prototypes were chosen from.
struct Source {
    /// All descriptors, standardised.
    rows: Rows,
    scatter: Scatter,
    chosen: Vec<u32>,
}

/// What a photograph that is held out is compared with.
pub(super) struct Others {
    pub whitening: Whitening,
    /// `[prototypes][channels]`.
    pub rows: Vec<f32>,
    /// Squared norms of the prototypes, too large to be near where they are the photograph's own.
    pub norms: Vec<f32>,
}

impl Bank {
    /// Standardises the rows, whitens them where that is wanted, puts those of a former bank beside them, whose units
    /// then are those of all, and chooses prototypes.
    pub(super) async fn choose(
        gpu: &Gpu,
        former: Option<&Self>,
        mut rows: Rows,
        wanted: Wanted,
        on_progress: impl FnMut(u32),
    ) -> Result<Self> {
        let channels = rows.values.len() / rows.owners.len();
        let (mean, deviation) = match former {
            Some(bank) => (bank.mean.clone(), bank.deviation.clone()),
            None => statistics(&rows.values, channels),
        };
        standardise(&mut rows.values, &mean, &deviation);
        let (whitening, scatter) = match former {
            Some(bank) => (bank.whitening.clone(), None),
            None if !wanted.whitened => (Whitening::none(channels), None),
            None => {
                let scatter = Scatter::of(gpu, &rows.values, channels).await?;
                (scatter.whitening()?, Some(scatter))
            }
        };
        let (mut values, mut owners) = (whitening.apply(gpu, &rows.values).await?, rows.owners.clone());
        if let Some(bank) = former {
            values.extend_from_slice(&bank.rows);
            owners.extend_from_slice(&bank.owners);
        }
        let mut chosen = coreset(gpu, &values, channels, wanted.prototypes, on_progress).await?;
        let distinct = chosen.len() as u32;
        let last = chosen.last().copied().unwrap_or_default();
        chosen.resize(chosen.len().next_multiple_of(4).max(4), last);
        let prototypes = rows_of(&values, channels, &chosen);
        let prototypes = prototypes.iter().map(|value| half::f16::from_f32(*value).to_f32()).collect();
        let owners = chosen.iter().map(|index| owners[*index as usize]).collect();
        let source = scatter.map(|scatter| Source { rows, scatter, chosen });
        Ok(Self { distinct, source, ..Self::new([mean, deviation], whitening, prototypes, owners) })
    }

    /// A bank of `[prototypes][channels]`, all of which differ.
    pub(super) fn new(
        [mean, deviation]: [Vec<f32>; 2],
        whitening: Whitening,
        rows: Vec<f32>,
        owners: Vec<u32>,
    ) -> Self {
        let distinct = owners.len() as u32;
        Self { mean, deviation, whitening, rows, owners, distinct, source: None }
    }

    pub(super) fn count(&self) -> u32 {
        self.owners.len() as u32
    }

    pub(super) fn channels(&self) -> usize {
        self.mean.len()
    }

    /// `[channels][prototypes]`, as model files have them.
    pub(super) fn columns(&self) -> Vec<f32> {
        transposed(&self.rows, self.channels())
    }

    /// The photograph each prototype is of.
    pub(super) fn owners(&self) -> &[u32] {
        &self.owners
    }

    /// The prototypes, of which those of a photograph that is held out are left out. Where the whitening is of these
    /// photographs, it is found anew from the others: a photograph to come has no part in it either.
    pub(super) async fn without(&self, gpu: &Gpu, held_out: Option<u32>) -> Result<Others> {
        let (whitening, rows) = match (&self.source, held_out) {
            (Some(source), Some(owner)) => source.without(gpu, owner, self.channels()).await?,
            _ => (self.whitening.clone(), self.rows.clone()),
        };
        let norms = square_norms(&rows, self.channels()).into_iter().zip(&self.owners);
        let norms = norms.map(|(norm, owner)| if Some(*owner) == held_out { LEFT_OUT } else { norm }).collect();
        Ok(Others { whitening, rows, norms })
    }

    /// Features `[positions][channels]` in the unit of the prototypes.
    pub(super) fn standardised(&self, features: &[f32]) -> Vec<f32> {
        let mut values = features.to_vec();
        standardise(&mut values, &self.mean, &self.deviation);
        values
    }
}

impl Source {
    /// The whitening of the other photographs alone, and the prototypes in it.
    async fn without(&self, gpu: &Gpu, owner: u32, channels: usize) -> Result<(Whitening, Vec<f32>)> {
        let own = (0..).zip(&self.rows.owners).filter(|(_, other)| **other == owner);
        let own: Vec<u32> = own.map(|(row, _)| row).collect();
        let own = Scatter::of(gpu, &rows_of(&self.rows.values, channels, &own), channels).await?;
        let whitening = self.scatter.without(&own).whitening()?;
        let prototypes = whitening.apply(gpu, &rows_of(&self.rows.values, channels, &self.chosen)).await?;
        Ok((whitening, prototypes))
    }
}

/// The rows of these numbers.
fn rows_of(values: &[f32], channels: usize, numbers: &[u32]) -> Vec<f32> {
    numbers.iter().flat_map(|row| &values[*row as usize * channels..][..channels]).copied().collect()
}

/// Mean and deviation of each channel. A channel that is the same everywhere has deviation 1.
pub(super) fn statistics(values: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (values.len() / channels) as f64;
    let (mut sums, mut squares) = (vec![0.0_f64; channels], vec![0.0_f64; channels]);
    for row in values.chunks_exact(channels) {
        sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
    for row in values.chunks_exact(channels) {
        let differences = row.iter().zip(&means).map(|(value, mean)| f64::from(*value) - mean);
        squares.iter_mut().zip(differences).for_each(|(sum, difference)| *sum += difference * difference);
    }
    let deviation = |sum: f64| if sum > 0.0 { (sum / count).sqrt() as f32 } else { 1.0 };
    (means.iter().map(|mean| *mean as f32).collect(), squares.into_iter().map(deviation).collect())
}

fn standardise(values: &mut [f32], mean: &[f32], deviation: &[f32]) {
    for row in values.chunks_exact_mut(mean.len()) {
        for ((value, mean), deviation) in row.iter_mut().zip(mean).zip(deviation) {
            *value = (*value - mean) / deviation;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `numpy.mean` and `numpy.std` over rows.
    #[test]
    fn channels_get_unit_deviation() {
        let mut values = vec![1.0, 5.0, 3.0, 5.0, 8.0, 5.0];
        let (mean, deviation) = statistics(&values, 2);
        assert_eq!(mean, [4.0, 5.0]);
        assert!((deviation[0] - 2.943_920_3).abs() < 1e-6 && deviation[1] == 1.0, "{deviation:?}");
        standardise(&mut values, &mean, &deviation);
        assert!((values[4] - 1.358_732_4).abs() < 1e-6 && values[5] == 0.0);
    }

    #[test]
    fn only_valid_positions_are_taken_and_no_more_than_there_is_room_for() {
        let mut pool = Pool::new(1, 2, 0, 1);
        let view = View { valid: vec![true, false, true, true], ..View::turned(0.0, 4, 2) };
        pool.add(0, &view, vec![vec![1.0, 2.0, 3.0, 4.0]]);
        pool.room = 4;
        pool.add(7, &view, vec![vec![1.0, 2.0, 3.0, 4.0]]);
        let rows = pool.levels().remove(0);
        assert_eq!(rows.owners, [0, 0, 0, 7, 7]);
        assert_eq!(&rows.values[..3], [1.0, 3.0, 4.0]);
        assert!(!rows.values.contains(&2.0));
    }

    /// By hand: 30,000 over 96 views are 312.5, so 313 each; over 4,800 they are 6.25, and 7 each would be 33,600.
    #[test]
    fn any_number_of_views_has_room_on_any_device() {
        let shares = |views: usize, former: usize| -> Vec<usize> {
            let mut pool = Pool::new(1, views, former, 0);
            (0..views).map(|_| pool.next_share()).collect()
        };
        assert_eq!(shares(96, 0), vec![313; 96]);
        assert_eq!(shares(12, 16_384), vec![1135; 12]);
        for (views, former) in [(4800, 0), (4800, 16_384), (50_000, 0), (7, 30_000)] {
            let shares = shares(views, former);
            let (least, most) = (shares.iter().min(), shares.iter().max());
            assert!(shares.iter().sum::<usize>() + former <= MOST, "{views} views, {former} former prototypes");
            assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{least:?} to {most:?}");
        }
    }
}
