//! Pixel metrics of a whole test set.

use super::overlap::{Area, SteppedArea};
use super::ranking::Builder;
use super::sorter::Sorter;
use super::{Metric, Ranking, descending_key, ensure_finite, score_of};
use crate::image::components;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fmt;

/// Pixels kept in memory before they go to a temporary file, at 8 bytes each: 128 MiB.
const IN_MEMORY: usize = 1 << 24;

/// Collects anomaly maps with their masks, then gives exact metrics over all of their pixels.
///
/// All pixels are sorted by value, 8 bytes each: up to 128 MiB in memory, the rest in nameless temporary files. The
/// sort of 5,000 maps of 224 x 224 takes 2 GB of temporary disk and no more memory. A true region takes another 16
/// bytes.
pub struct PixelScores {
    sorter: Sorter,
    groups: Vec<Group>,
    /// Places of the kinds in `groups`; the normal images come first there.
    kinds: BTreeMap<String, usize>,
    /// Whom a pixel belongs to, by its tag.
    tags: Vec<Tag>,
}

/// Pixels that are the normal images' or one kind of defect's.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Pixels outside the masks.
    normal: u64,
    anomalous: u64,
    regions: u64,
    /// Least and largest value.
    range: Option<(f32, f32)>,
}

#[derive(Clone, Copy)]
struct Tag {
    group: usize,
    /// One over the area of the pixel's region; none outside the regions.
    region: Option<f64>,
}

/// What the maps are worth, pixel by pixel.
#[derive(Clone, Debug, PartialEq)]
pub struct PixelMetrics {
    /// AUROC, average precision and best F1 over all pixels.
    pub ranking: Ranking,
    /// 8-connected true regions.
    pub regions: u64,
    /// Area under the mean overlap of the true regions against the false-positive rate from 0 to 0.3, over 0.3; exact,
    /// with every distinct value as a threshold (MVTec AD's definition).
    pub aupro: Metric,
    /// The variant of the authors' evaluation: 200 thresholds evenly spaced over the range of the maps, the area over
    /// the largest false-positive rate met below 0.3.
    pub aupro_200_steps: Metric,
}

impl fmt::Debug for PixelScores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PixelScores").field("kinds", &self.kinds.keys()).finish_non_exhaustive()
    }
}

impl Default for PixelScores {
    fn default() -> Self {
        Self::new()
    }
}

impl PixelScores {
    /// Scores of no map yet.
    pub fn new() -> Self {
        Self::with_capacity(IN_MEMORY)
    }

    fn with_capacity(pixels: usize) -> Self {
        let tags = vec![Tag { group: 0, region: None }];
        Self { sorter: Sorter::new(pixels), groups: vec![Group::default()], kinds: BTreeMap::new(), tags }
    }

    /// Adds the map of a normal image.
    ///
    /// # Errors
    /// [`Error::Input`] for values that are not finite, [`Error::Io`] where temporary files cannot be written.
    pub fn add_normal(&mut self, map: &[f32]) -> Result<()> {
        ensure_finite(map)?;
        self.add(0, 0, map, None)
    }

    /// Adds the map, in rows of `width`, of an image with a defect of this kind, and the mask of its defects. A mask
    /// may be empty, where a crop left the defect out.
    ///
    /// # Errors
    /// [`Error::Input`] for values that are not finite or a mask of another size, [`Error::Io`] where temporary files
    /// cannot be written.
    pub fn add_anomalous(&mut self, kind: &str, map: &[f32], mask: &[bool], width: usize) -> Result<()> {
        ensure_finite(map)?;
        if mask.len() != map.len() {
            return Err(Error::Input {
                what: "mask".to_owned(),
                expected: format!("{} pixels, as many as the map has", map.len()),
                found: mask.len().to_string(),
            });
        }
        let found = components(mask, width)?;
        let (group, background) = self.kind(kind);
        let first = self.tags.len();
        let mut areas = vec![0_u32; found.count as usize];
        found.labels.iter().filter(|label| **label > 0).for_each(|&label| areas[label as usize - 1] += 1);
        self.tags.extend(areas.iter().map(|&area| Tag { group, region: Some(1.0 / f64::from(area)) }));
        self.groups[group].regions += u64::from(found.count);
        self.add(group, background, map, Some((&found.labels, first)))
    }

    /// A kind's place among the groups, and the tag of its pixels outside regions.
    fn kind(&mut self, kind: &str) -> (usize, usize) {
        let known = self.kinds.get(kind).copied();
        let group = known.unwrap_or_else(|| {
            self.groups.push(Group::default());
            self.kinds.insert(kind.to_owned(), self.groups.len() - 1);
            self.groups.len() - 1
        });
        let is_background = |tag: &Tag| tag.group == group && tag.region.is_none();
        let background = known.and_then(|_| self.tags.iter().position(is_background)).unwrap_or_else(|| {
            self.tags.push(Tag { group, region: None });
            self.tags.len() - 1
        });
        (group, background)
    }

    fn add(&mut self, group: usize, background: usize, map: &[f32], regions: Option<(&[u32], usize)>) -> Result<()> {
        for (pixel, &value) in map.iter().enumerate() {
            let label = regions.map_or(0, |(labels, _)| labels[pixel] as usize);
            let tag = if label == 0 { background } else { regions.map_or(0, |(_, first)| first + label - 1) };
            let counted = &mut self.groups[group];
            if label == 0 {
                counted.normal += 1
            } else {
                counted.anomalous += 1
            }
            let (least, most) = counted.range.unwrap_or((value, value));
            counted.range = Some((least.min(value), most.max(value)));
            self.sorter.push(u64::from(descending_key(value)) << 32 | tag as u64)?;
        }
        Ok(())
    }

    /// The metrics over all maps, and for each kind of defect over its maps and the normal images'.
    ///
    /// # Errors
    /// [`Error::Io`] where temporary files cannot be read.
    pub fn finish(self) -> Result<(PixelMetrics, BTreeMap<String, PixelMetrics>)> {
        let Self { sorter, groups, kinds, tags } = self;
        let mut sweep = Sweep::new(&groups);
        let mut current = None;
        sorter.drain(|number| {
            let (key, tag) = ((number >> 32) as u32, number as u32);
            if let Some(done) = current.replace(key).filter(|&current| current != key) {
                sweep.close(score_of(done));
            }
            sweep.add(tags[tag as usize]);
        })?;
        if let Some(last) = current {
            sweep.close(score_of(last));
        }
        let mut metrics = sweep.finish();
        let by_kind = kinds.into_iter().map(|(kind, group)| (kind, metrics[group].take()));
        let by_kind = by_kind.filter_map(|(kind, metrics)| Some((kind, metrics?))).collect();
        let all = metrics[0].take().unwrap_or_else(|| Subset::new(Group::default()).finish());
        Ok((all, by_kind))
    }
}

/// A walk over all values, the largest first.
struct Sweep {
    /// What is measured: everything in the first place, then each kind with the normal images.
    subsets: Vec<Subset>,
    /// Normal pixels above the present value, by group.
    normal_above: Vec<u64>,
    /// The whole number of normal pixels.
    all_above: u64,
    /// Pixels with the present value, by group.
    equal: Vec<Equal>,
    /// The groups that have such pixels.
    touched: Vec<usize>,
    /// The highest of the spaced thresholds that have not been met.
    next_step: Option<f64>,
}

/// Pixels of one value.
#[derive(Clone, Copy, Default)]
struct Equal {
    normal: u64,
    anomalous: u64,
    /// What the anomalous ones add to the sum of their regions' overlaps.
    overlap: f64,
}

impl Equal {
    fn with(self, other: Self) -> Self {
        Self {
            normal: self.normal + other.normal,
            anomalous: self.anomalous + other.anomalous,
            overlap: self.overlap + other.overlap,
        }
    }
}

/// One selection of images while it is measured.
struct Subset {
    group: Group,
    ranking: Builder,
    area: Area,
    steps: SteppedArea,
    /// Sum of the regions' overlaps.
    overlap: f64,
}

impl Subset {
    fn new(group: Group) -> Self {
        let (lowest, highest) = group.range.unwrap_or_default();
        Self {
            group,
            ranking: Builder::new(group.normal, group.anomalous),
            area: Area::new(group.normal),
            steps: SteppedArea::new(group.normal, lowest, highest),
            overlap: 0.0,
        }
    }

    fn mean_overlap(&self) -> f64 {
        self.overlap / self.group.regions as f64
    }

    /// The next value. While only normal pixels have it, no metric needs to know: the next anomalous pixel tells.
    fn push(&mut self, score: f32, equal: Equal, normal_above: u64) {
        if equal.anomalous > 0 {
            self.overlap += equal.overlap;
            self.ranking.push(score, equal.anomalous, normal_above, equal.normal);
            self.area.push(self.mean_overlap(), normal_above, equal.normal);
        }
    }

    /// Tells all spaced thresholds down to `score` what is above them.
    fn pass_steps(&mut self, score: f64, normal_above: u64) {
        let overlap = self.mean_overlap();
        while self.steps.next().is_some_and(|threshold| threshold >= score) {
            self.steps.push(normal_above, overlap);
        }
    }

    fn finish(self) -> PixelMetrics {
        let Group { regions, range, .. } = self.group;
        let constant = range.is_none_or(|(least, most)| least == most);
        PixelMetrics {
            ranking: self.ranking.finish(),
            regions,
            aupro: self.area.finish(regions),
            aupro_200_steps: self.steps.finish(regions, constant),
        }
    }
}

impl Sweep {
    fn new(groups: &[Group]) -> Self {
        let all = groups.iter().copied().reduce(Group::with).unwrap_or_default();
        let kinds = groups[1..].iter().map(|group| groups[0].with(*group));
        let subsets: Vec<Subset> = [all].into_iter().chain(kinds).map(Subset::new).collect();
        let mut sweep = Self {
            subsets,
            normal_above: vec![0; groups.len()],
            all_above: 0,
            equal: vec![Equal::default(); groups.len()],
            touched: Vec::new(),
            next_step: None,
        };
        sweep.find_next_step();
        sweep
    }

    /// A pixel with the present value.
    fn add(&mut self, Tag { group, region }: Tag) {
        let equal = &mut self.equal[group];
        if equal.normal + equal.anomalous == 0 {
            self.touched.push(group);
        }
        match region {
            None => equal.normal += 1,
            Some(overlap) => {
                equal.anomalous += 1;
                equal.overlap += overlap;
            }
        }
    }

    /// No other pixel has the present value, which is `score`. The work goes by the groups that have it: most values
    /// are one pixel's.
    fn close(&mut self, score: f32) {
        if self.next_step.is_some_and(|threshold| threshold >= f64::from(score)) {
            self.pass_steps(f64::from(score));
        }
        let mut all = Equal::default();
        for &group in &self.touched {
            all = all.with(self.equal[group]);
            if group > 0 {
                let above = self.normal_above[0] + self.normal_above[group];
                self.subsets[group].push(score, self.equal[0].with(self.equal[group]), above);
            }
        }
        self.subsets[0].push(score, all, self.all_above);
        self.all_above += all.normal;
        for group in self.touched.drain(..) {
            self.normal_above[group] += std::mem::take(&mut self.equal[group]).normal;
        }
    }

    fn pass_steps(&mut self, score: f64) {
        let normal = self.normal_above[0];
        self.subsets[0].pass_steps(score, self.all_above);
        for (subset, above) in self.subsets[1..].iter_mut().zip(&self.normal_above[1..]) {
            subset.pass_steps(score, normal + above);
        }
        self.find_next_step();
    }

    fn find_next_step(&mut self) {
        self.next_step = self.subsets.iter().filter_map(|subset| subset.steps.next()).reduce(f64::max);
    }

    /// The scores of each subset, in the order they were asked for.
    fn finish(mut self) -> Vec<Option<PixelMetrics>> {
        // The lowest threshold is the lowest value itself, so none is left; rounding must not leave one either.
        self.pass_steps(f64::NEG_INFINITY);
        self.subsets.into_iter().map(|subset| Some(subset.finish())).collect()
    }
}

impl Group {
    /// Two groups of pixels as one.
    fn with(self, other: Self) -> Self {
        let range = match (self.range, other.range) {
            (Some((least, most)), Some((low, high))) => Some((least.min(low), most.max(high))),
            (range, other) => range.or(other),
        };
        Self {
            normal: self.normal + other.normal,
            anomalous: self.anomalous + other.anomalous,
            regions: self.regions + other.regions,
            range,
        }
    }
}

#[cfg(test)]
mod tests;
