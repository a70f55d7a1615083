//! Where a map is above the threshold.

use crate::Result;
use crate::image::{Rect, ensure_rows};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A connected part of an image whose map is above the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// The smallest upright box around it.
    pub bounds: Rect,
    /// Its pixels.
    pub area: u32,
    /// The map's largest value in it.
    pub peak: f32,
    /// The map's mean in it.
    pub mean: f32,
}

/// The 8-connected regions in which `map`, row-major in rows of `width`, is above `threshold`; the highest peak comes
/// first. NaN, which stands for pixels that were not inspected, is above nothing.
///
/// Boxes and areas count the map's pixels. With a map in the original image's frame
/// ([`Frame::to_original`](crate::image::Frame::to_original)) these are the photograph's. There a peak may lie slightly
/// below the score, which is the largest value before resampling.
///
/// # Errors
/// [`Error::Input`](crate::Error::Input) if `map` is not whole rows of `width`.
pub fn regions(map: &[f32], width: usize, threshold: f32) -> Result<Vec<Region>> {
    ensure_rows("map", map.len(), width)?;
    Ok(regions_in_rows(map.chunks_exact(width), threshold))
}

/// The [`regions`] of a map that comes row by row from the top, such as
/// [`Frame::original_rows`](crate::image::Frame::original_rows): memory grows with the regions, not with the map.
pub fn regions_in_rows<Row: AsRef<[f32]>>(rows: impl IntoIterator<Item = Row>, threshold: f32) -> Vec<Region> {
    let mut found = Found::default();
    let mut former: Vec<Run> = Vec::new();
    for (y, row) in (0..).zip(rows) {
        let row = row.as_ref();
        let mut above = former.iter().peekable();
        let mut runs: Vec<Run> = Vec::new();
        for columns in runs_above(row, threshold) {
            while above.next_if(|run| run.columns.end < columns.start).is_some() {}
            // Those that touch by a side or a corner; the last of them may touch the next run, too.
            let touching = above.clone().take_while(|run| run.columns.start <= columns.end);
            let part = found.joined(touching.map(|run| run.part));
            found.parts[part].add(y, columns.start, &row[columns.clone()]);
            runs.push(Run { columns, part });
        }
        former = runs;
    }
    found.finish()
}

/// Neighbouring columns of a row that are above the threshold, and the part they belong to.
struct Run {
    columns: Range<usize>,
    part: usize,
}

/// The longest runs of values above the threshold.
fn runs_above(row: &[f32], threshold: f32) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut end = 0;
    std::iter::from_fn(move || {
        let start = end + row[end..].iter().position(|&value| value > threshold)?;
        end = start + row[start..].iter().take_while(|&&value| value > threshold).count();
        Some(start..end)
    })
}

/// Parts of regions, numbered as rows from the top meet them, and for each the earlier one it turned out to belong to,
/// or itself.
#[derive(Default)]
struct Found {
    parts: Vec<Growing>,
    parents: Vec<usize>,
}

impl Found {
    /// The part that all of these are from now on: the earliest, or a new one where there are none.
    fn joined(&mut self, parts: impl Iterator<Item = usize>) -> usize {
        let mut roots: Vec<usize> = parts.map(|part| self.root(part)).collect();
        roots.sort_unstable();
        let Some(&first) = roots.first() else {
            self.parents.push(self.parts.len());
            self.parts.push(Growing::default());
            return self.parts.len() - 1;
        };
        for root in roots {
            self.parents[root] = first;
        }
        first
    }

    fn root(&mut self, mut part: usize) -> usize {
        while self.parents[part] != part {
            // Halves the way for the next who asks.
            self.parents[part] = self.parents[self.parents[part]];
            part = self.parents[part];
        }
        part
    }

    fn finish(mut self) -> Vec<Region> {
        for part in 0..self.parts.len() {
            let root = self.root(part);
            if root != part {
                let joining = self.parts[part].clone();
                self.parts[root].join(&joining);
            }
        }
        let roots = self.parts.iter().zip(&self.parents).enumerate();
        let mut regions: Vec<Region> =
            roots.filter(|(part, (_, parent))| part == *parent).map(|(_, (region, _))| region.finish()).collect();
        regions.sort_by(|a, b| b.peak.total_cmp(&a.peak));
        regions
    }
}

/// A region while its pixels are gathered.
#[derive(Clone)]
struct Growing {
    left: u32,
    right: u32,
    top: u32,
    bottom: u32,
    area: u32,
    peak: f32,
    sum: f64,
}

impl Default for Growing {
    fn default() -> Self {
        Self { left: u32::MAX, right: 0, top: u32::MAX, bottom: 0, area: 0, peak: f32::NEG_INFINITY, sum: 0.0 }
    }
}

impl Growing {
    /// Adds the values of a row from column `x` on.
    fn add(&mut self, y: u32, x: usize, values: &[f32]) {
        let x = x as u32;
        let run = Self {
            left: x,
            right: x + values.len() as u32 - 1,
            top: y,
            bottom: y,
            area: values.len() as u32,
            peak: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            sum: values.iter().copied().map(f64::from).sum(),
        };
        self.join(&run);
    }

    fn join(&mut self, other: &Self) {
        self.left = self.left.min(other.left);
        self.right = self.right.max(other.right);
        self.top = self.top.min(other.top);
        self.bottom = self.bottom.max(other.bottom);
        self.area += other.area;
        self.peak = self.peak.max(other.peak);
        self.sum += other.sum;
    }

    fn finish(&self) -> Region {
        let Self { left, right, top, bottom, area, peak, sum } = *self;
        let bounds = Rect { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
        Region { bounds, area, peak, mean: (sum / f64::from(area)) as f32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::components;
    use proptest::prelude::*;

    #[test]
    fn boxes_areas_and_values() {
        let map = [[0.875, 0.0, 0.0, 0.0, 2.0], [0.0, 0.75, 0.5, 0.0, f32::NAN], [0.0, 0.0, 0.0, 0.0, 0.6]];
        let rect = |x, y, width, height| Rect { x, y, width, height };
        let expected = [
            Region { bounds: rect(4, 0, 1, 1), area: 1, peak: 2.0, mean: 2.0 },
            Region { bounds: rect(0, 0, 2, 2), area: 2, peak: 0.875, mean: 0.8125 },
            Region { bounds: rect(4, 2, 1, 1), area: 1, peak: 0.6, mean: 0.6 },
        ];
        assert_eq!(regions(map.as_flattened(), 5, 0.5).expect("whole rows"), expected);
        assert_eq!(regions(map.as_flattened(), 5, 2.0).expect("whole rows"), [], "the threshold itself passes");
        assert!(regions(map.as_flattened(), 4, 0.5).is_err());
    }

    proptest! {
        #[test]
        fn regions_are_the_components_of_what_is_above(
            width in 1..12_usize,
            map in prop::collection::vec(prop::sample::select(vec![0.0_f32, 0.25, 0.75, 1.0]), 0..150),
        ) {
            let map = &map[..map.len() / width * width];
            let mask: Vec<bool> = map.iter().map(|&value| value > 0.5).collect();
            let components = components(&mask, width).expect("whole rows");
            let mut expected: Vec<(u32, f32, u32, u32)> = (1..=components.count)
                .map(|label| {
                    let is_its = |&pixel: &usize| components.labels[pixel] == label;
                    let pixels: Vec<usize> = (0..map.len()).filter(is_its).collect();
                    let peak = pixels.iter().map(|&pixel| map[pixel]).fold(0.0, f32::max);
                    let left = pixels.iter().map(|pixel| pixel % width).min().expect("has pixels");
                    (pixels.len() as u32, peak, left as u32, (pixels[0] / width) as u32)
                })
                .collect();
            expected.sort_by(|a, b| b.1.total_cmp(&a.1));
            let found = regions(map, width, 0.5).expect("whole rows");
            let figures = |region: &Region| (region.area, region.peak, region.bounds.x, region.bounds.y);
            let found: Vec<_> = found.iter().map(figures).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
