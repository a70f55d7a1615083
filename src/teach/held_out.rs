//! What good parts have: each photograph compared with the prototypes of the others.

use super::Tensor;
use super::bank::Bank;
use super::poses::PoseDecision;
use super::spread::mean_and_deviation;
use crate::gpu::{Gpu, Graph, read_buffers};
use crate::inspect::MapSummary;
use crate::model::Join;
use crate::ops::quantile_rank;
use crate::parameters::{Parameters, Storage};
use crate::weights::names::TAUGHT;
use crate::weights::{Parameter, Stored};
use crate::{ModelConfig, Result};

/// Distances of one view: of each level `[grid * grid]`.
type ViewDistances = Vec<Vec<f32>>;

/// Distances of photographs to the prototypes of the others.
#[derive(Clone)]
pub(super) struct HeldOut {
    grid: u32,
    levels: usize,
    /// Of each photograph, of each of its views.
    parts: Vec<Vec<ViewDistances>>,
    /// Of copies with a pseudo-defect, and which of the photographs they are of.
    pseudo_defects: Vec<(usize, ViewDistances)>,
}

/// What the head makes of what was held out.
pub(super) struct Scores {
    /// Of each photograph, of each of its views.
    pub parts: Vec<Vec<MapSummary>>,
    /// Scores of the copies with a pseudo-defect.
    pub pseudo_defects: Vec<f32>,
}

/// How far beyond the quantiles of good parts those of a later image count: good parts to come vary more than few
/// photographs show, and a picture that is nothing like them must not be taken for a dark one.
const BEYOND: f32 = 1.5;
/// Photographs from which on good parts are known to be so even and no more; with fewer nothing counts as uneven.
const ENOUGH_FOR_DEVIATION: usize = 3;
/// Deviation, in cells of the grid, of the blur of good parts' distances by position.
const POSITION_BLUR: f64 = 1.0;
/// Deviation, in cells, of the blur before the largest value of a level counts.
const PEAK_BLUR: f64 = 0.6;

impl HeldOut {
    pub(super) fn new(grid: u32, levels: usize) -> Self {
        Self { grid, levels, parts: Vec::new(), pseudo_defects: Vec::new() }
    }

    /// Takes a photograph's distances in some views.
    pub(super) fn add(&mut self, views: Vec<ViewDistances>) {
        self.parts.push(views);
    }

    /// Takes the distances of a copy of the last photograph with a pseudo-defect: it is scored, and has no part in what
    /// is normal.
    pub(super) fn add_pseudo_defect(&mut self, distances: ViewDistances) {
        self.pseudo_defects.push((self.parts.len() - 1, distances));
    }

    /// How many photographs were taken.
    pub(super) fn photographs(&self) -> usize {
        self.parts.len()
    }

    /// The distances of the photographs that are shown in one view each; several are altered views of a single one.
    pub(super) fn single_views(&self) -> impl Iterator<Item = &ViewDistances> {
        self.parts.iter().filter(|views| views.len() == 1).flatten()
    }

    /// The tensors of the taught head.
    pub(super) fn head(&self, banks: &[Bank], config: &ModelConfig, decision: PoseDecision) -> Vec<Tensor> {
        [bank_tensors(banks, config), unit_tensors(config, self.units(decision))].concat()
    }

    /// What distances are measured in, as the tensors `normal` and `bounds` of the head have it.
    fn units(&self, decision: PoseDecision) -> [Vec<f32>; 2] {
        let (mut normal, mut bounds) = (Vec::new(), Vec::new());
        for level in 0..self.levels {
            let usual = self.usual(level, decision);
            bounds.extend(self.bounds(level, &usual));
            normal.extend(usual.iter().map(|distance| 1.0 / distance));
        }
        [normal, bounds]
    }

    /// All photographs but one; a single one stays, as it has no others.
    fn without(&self, index: usize) -> Self {
        let mut parts = self.parts.clone();
        if parts.len() > 1 {
            parts.remove(index);
        }
        Self { parts, pseudo_defects: Vec::new(), ..*self }
    }

    /// What the head makes of each photograph held out, in all its views, and of its copy with a pseudo-defect:
    /// measured in what the others alone have, as a photograph to come will be.
    pub(super) async fn scores(&self, gpu: &Gpu, config: &ModelConfig, decision: PoseDecision) -> Result<Scores> {
        let mut scores = Scores { parts: Vec::with_capacity(self.parts.len()), pseudo_defects: Vec::new() };
        for (index, part) in self.parts.iter().enumerate() {
            let [normal, bounds] = self.without(index).units(decision);
            let units = |parameter: &Parameter| match parameter.name.strip_prefix(TAUGHT) {
                Some("normal") => normal.clone(),
                _ => bounds.clone(),
            };
            let mut parameters = Parameters::new(Storage { gpu: Some(gpu), ..Storage::default() });
            let join = Join::new(&mut parameters, config, self.levels as u32);
            parameters.load(gpu, &units).await?;
            let mut graph = Graph::new(gpu, false);
            let shape = [1, self.grid, self.grid, 1];
            let distances: Vec<_> = (0..self.levels).map(|_| graph.external("teach.distances", shape)).collect();
            let outputs = join.write(&mut graph, &distances);
            let schedule = graph.finish().await?;
            let altered = self.pseudo_defects.iter().filter(|(of, _)| *of == index).map(|(_, distances)| distances);
            let mut views = Vec::with_capacity(part.len() + 1);
            for view in part.iter().chain(altered) {
                schedule.write_each(gpu, &distances, view).await?;
                schedule.submit(gpu).await?;
                let source = (schedule.buffer(outputs.blurred), outputs.blurred.bytes());
                let map: Vec<f32> = read_buffers(gpu, &[source]).await?.remove(0);
                let score = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                views.push(MapSummary::of(score, &map));
            }
            scores.pseudo_defects.extend(views.drain(part.len()..).map(|view| view.score));
            scores.parts.push(views);
            super::give_way().await;
        }
        Ok(scores)
    }

    /// The unit of a level's distances at each position: what good parts have there. Parts that lie at any angle have
    /// the same everywhere; others half of it by position, which few photographs tell roughly.
    fn usual(&self, level: usize, decision: PoseDecision) -> Vec<f32> {
        let maps: Vec<&[f32]> = self.parts.iter().flatten().map(|view| view[level].as_slice()).collect();
        let positions = (self.grid * self.grid) as usize;
        let mean_map: Vec<f32> = (0..positions)
            .map(|position| maps.iter().map(|map| map[position]).sum::<f32>() / maps.len() as f32)
            .collect();
        // Identical photographs have no distances at all; nothing is divided by nothing.
        let mean = (mean_map.iter().sum::<f32>() / positions as f32).max(1e-3);
        if decision.any {
            return vec![mean; positions];
        }
        let mean_map = if decision.flips { symmetric(&mean_map, self.grid as usize) } else { mean_map };
        smooth(&mean_map, self.grid as usize, POSITION_BLUR).iter().map(|local| 0.5 * local + 0.5 * mean).collect()
    }

    /// Weight, lowest and highest quantile and evenness of a level.
    fn bounds(&self, level: usize, usual: &[f32]) -> [f32; 4] {
        let rank = quantile_rank(self.grid * self.grid) as usize;
        let (mut low, mut high) = (f32::MAX, 0.0_f32);
        let (mut peaks, mut unevenness) = (Vec::new(), Vec::new());
        for view in self.parts.iter().flatten() {
            let relative: Vec<f32> = view[level].iter().zip(usual).map(|(distance, usual)| distance / usual).collect();
            let mut rising = relative.clone();
            let (_, quantile, _) = rising.select_nth_unstable_by(rank, f32::total_cmp);
            let quantile = quantile.max(1e-3);
            (low, high) = (low.min(quantile), high.max(quantile));
            let peak = smooth(&relative, self.grid as usize, PEAK_BLUR).into_iter().fold(0.0, f32::max);
            peaks.push(peak / quantile);
            unevenness.push(relative.iter().sum::<f32>() / relative.len() as f32 / quantile);
        }
        let peak = peaks.iter().sum::<f32>() / peaks.len() as f32;
        let evenness = if self.parts.len() < ENOUGH_FOR_DEVIATION { 0.0 } else { evenness(&unevenness) };
        [1.0 / peak.max(1e-3), low / BEYOND, high * BEYOND, evenness]
    }
}

/// The reciprocal of how uneven good parts are: a deviation above their mean, both of logarithms.
fn evenness(unevenness: &[f32]) -> f32 {
    let [mean, deviation] = mean_and_deviation(unevenness.iter().map(|value| f64::from(*value).max(1e-3).ln()));
    (-mean - deviation).exp() as f32
}

/// The tensors of a head that hold its prototypes.
pub(super) fn bank_tensors(banks: &[Bank], config: &ModelConfig) -> Vec<Tensor> {
    let tensors_of = |(level, bank): (usize, &Bank)| {
        let (name, channels) = (format!("{TAUGHT}layer_{}", level + 1), bank.channels() as u32);
        let prototypes = [channels, bank.count()];
        let whitening =
            || Tensor::new(format!("{name}.whitening"), &[channels; 2], bank.whitening.columns(), Stored::F32);
        let tensors = [
            Tensor::new(format!("{name}.mean"), &[channels], bank.mean.clone(), Stored::F32),
            Tensor::new(format!("{name}.deviation"), &[channels], bank.deviation.clone(), Stored::F32),
            Tensor::new(format!("{name}.C"), &prototypes, bank.columns(), Stored::F16),
        ];
        tensors.into_iter().chain(config.backbone.has_linear_levels().then(whitening)).collect::<Vec<_>>()
    };
    config.levels().into_iter().zip(banks).flat_map(tensors_of).collect()
}

/// The tensors of a head that hold the units of distances, `normal` and `bounds`.
pub(super) fn unit_tensors(config: &ModelConfig, [normal, bounds]: [Vec<f32>; 2]) -> Vec<Tensor> {
    let (levels, grid) = (config.levels().len() as u32, config.grid);
    let normal = Tensor::new(format!("{TAUGHT}normal"), &[levels, grid, grid], normal, Stored::F32);
    vec![normal, Tensor::new(format!("{TAUGHT}bounds"), &[levels, 4], bounds, Stored::F32)]
}

/// The mean of a square map and its mirror images: what parts have at a position that may be flipped either way.
fn symmetric(map: &[f32], side: usize) -> Vec<f32> {
    let at = |row: usize, column: usize| map[row * side + column];
    let mean = |(row, column): (usize, usize)| {
        let (below, beside) = (side - 1 - row, side - 1 - column);
        (at(row, column) + at(row, beside) + at(below, column) + at(below, beside)) / 4.0
    };
    (0..side * side).map(|position| mean((position / side, position % side))).collect()
}

/// `scipy.ndimage.gaussian_filter(mode="reflect")` of a square map.
fn smooth(map: &[f32], side: usize, sigma: f64) -> Vec<f32> {
    let radius = (4.0 * sigma + 0.5) as isize;
    let weights: Vec<f64> = (-radius..=radius).map(|x| (-0.5 * (x * x) as f64 / (sigma * sigma)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    // Mirrored with the edge sample repeated, as often as the radius reaches beyond.
    let reflect = |at: isize| {
        let period = 2 * side as isize;
        let at = at.rem_euclid(period);
        at.min(period - 1 - at) as usize
    };
    let pass = |source: &[f32], index: &dyn Fn(usize, usize) -> usize| -> Vec<f32> {
        let mut out = vec![0.0; source.len()];
        for line in 0..side {
            for at in 0..side {
                let taps = (-radius..=radius).zip(&weights);
                let value: f64 = taps.map(|(x, w)| w * f64::from(source[index(line, reflect(at as isize + x))])).sum();
                out[index(line, at)] = (value / sum) as f32;
            }
        }
        out
    };
    let down = pass(map, &|column, row| row * side + column);
    pass(&down, &|row, column| row * side + column)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teach::Poses;

    #[test]
    fn smooth_as_the_reference() {
        let out = smooth(&[0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 1.0], 3, 1.0);
        let truth = crate::reference::blur(
            &crate::reference::Maps { shape: [1, 3, 3, 1], values: vec![0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 0.0, 1.0] },
            1.0,
            4.0,
        );
        assert!(out.iter().zip(&truth.values).all(|(a, b)| (a - b).abs() < 1e-6), "{out:?} {truth:?}");
    }

    fn view(values: [f32; 4]) -> ViewDistances {
        vec![values.into()]
    }

    /// By hand: means 2, 3, 4, 5 by position and 3.5 over all; without the second photograph 1, 2, 3, 4 and 2.5.
    #[test]
    fn a_photograph_is_no_part_of_its_own_unit() {
        let mut held_out = HeldOut::new(2, 1);
        held_out.add(vec![view([1.0, 2.0, 3.0, 4.0])]);
        held_out.add(vec![view([3.0, 4.0, 5.0, 6.0])]);
        let any = PoseDecision::told(Poses::Any);
        assert_eq!(held_out.usual(0, any), [3.5; 4]);
        assert_eq!(held_out.without(1).usual(0, any), [2.5; 4]);
        let fixed = held_out.usual(0, PoseDecision::told(Poses::Fixed));
        assert!(fixed[0] < fixed[3] && fixed[0] > 2.0 && fixed[3] < 5.0, "{fixed:?}");
        assert_eq!(
            held_out.usual(0, PoseDecision::told(Poses::Flips)),
            [3.5; 4],
            "four positions that are one another's"
        );
    }

    /// By hand: distances over 2 are 0.5, 1, 1.5, 2 with quantile 0.5 (the least of four), and 1, 1, 1, 1 with 1.
    #[test]
    fn bounds_lie_beyond_the_quantiles_of_good_parts() {
        let mut held_out = HeldOut::new(2, 1);
        held_out.add(vec![view([1.0, 2.0, 3.0, 4.0]), view([2.0; 4])]);
        let [weight, low, high, evenness] = held_out.bounds(0, &[2.0; 4]);
        assert_eq!(evenness, 0.0, "a single part has no deviation");
        assert_eq!((low, high), (0.5 / BEYOND, BEYOND));
        assert!(weight > 0.3 && weight < 0.6, "one over the mean of a peak of at most 4 and one of 1: {weight}");
    }

    /// By hand: means over the least of four are 1, 2 and 4, whose logarithms have the mean and the deviation ln 2.
    #[test]
    fn good_parts_are_so_uneven() {
        let mut held_out = HeldOut::new(2, 1);
        for rest in [1.0, 7.0 / 3.0, 5.0] {
            held_out.add(vec![view([1.0, rest, rest, rest])]);
        }
        assert!((held_out.bounds(0, &[1.0; 4])[3] - 0.25).abs() < 1e-6, "{:?}", held_out.bounds(0, &[1.0; 4]));
    }
}
