//! Where a map is above the threshold.

use crate::Result;
use crate::image::{Rect, components, ensure_rows};
use serde::{Deserialize, Serialize};

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
    let above: Vec<bool> = map.iter().map(|&value| value > threshold).collect();
    let found = components(&above, width)?;
    let mut regions = vec![Growing::default(); found.count as usize];
    for (pixel, (&label, &value)) in found.labels.iter().zip(map).enumerate() {
        if let Some(region) = (label as usize).checked_sub(1).and_then(|index| regions.get_mut(index)) {
            region.add((pixel % width) as u32, (pixel / width) as u32, value);
        }
    }
    let mut regions: Vec<Region> = regions.iter().map(Growing::finish).collect();
    regions.sort_by(|a, b| b.peak.total_cmp(&a.peak));
    Ok(regions)
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
    fn add(&mut self, x: u32, y: u32, value: f32) {
        self.left = self.left.min(x);
        self.right = self.right.max(x);
        self.top = self.top.min(y);
        self.bottom = self.bottom.max(y);
        self.area += 1;
        self.peak = self.peak.max(value);
        self.sum += f64::from(value);
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
}
