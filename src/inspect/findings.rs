//! What an inspection comes to: a verdict, regions, and pictures to look at.

use super::{Calibration, Placement, Region, Verdict, draw_outlines, regions};
use crate::Result;
use crate::image::{Rect, RgbImage, Scale, heatmap, paint_over};
use ::image::Rgb;
use std::borrow::Cow;

/// How much of the photograph the overlay's reddest place covers.
const OPACITY: f32 = 0.6;
/// The colour of outlines around regions.
const OUTLINE: Rgb<u8> = Rgb([255; 3]);
/// An outline is as thick as the photograph's shorter side over this.
const OUTLINES_ACROSS: u32 = 200;

/// What was found in a photograph, in the photograph's own pixels.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// The largest value of the network's map.
    pub score: f32,
    /// The least value of the network's map.
    pub lowest: f32,
    /// Whether the part is good; `None` without a threshold.
    pub verdict: Option<Verdict>,
    /// Where the map is above the threshold, the highest peak first; `None` without a threshold.
    pub regions: Option<Vec<Region>>,
    /// The values that get the first and the last colour: the calibration's, or else this map's own least and largest.
    pub colours: Scale,
    /// The map, height x width, row-major; NaN where the photograph was not inspected.
    pub map: Cow<'a, [f32]>,
    /// Width and height of the photograph.
    pub dimensions: (u32, u32),
    /// The part of the photograph that the network saw.
    pub inspected: Rect,
    threshold: Option<f32>,
}

impl<'a> Findings<'a> {
    /// What a score and a map of the network's come to in the photograph they were placed in.
    pub(super) fn of(placement: &Placement, score: f32, map: &'a [f32], calibration: &Calibration) -> Result<Self> {
        let lowest = map.iter().copied().fold(f32::INFINITY, f32::min);
        let map = placement.to_photograph(map)?;
        let dimensions = placement.dimensions();
        let threshold = calibration.threshold;
        let regions = threshold.map(|threshold| regions(&map, dimensions.0 as usize, threshold)).transpose()?;
        Ok(Self {
            score,
            lowest,
            verdict: calibration.verdict(score),
            regions,
            colours: calibration.scale.unwrap_or(Scale { low: lowest, high: score }),
            map,
            dimensions,
            inspected: placement.inspected(),
            threshold,
        })
    }

    /// The map in colours, see [`heatmap`].
    ///
    /// # Errors
    /// Never for findings as they were made.
    pub fn heatmap(&self) -> Result<RgbImage> {
        heatmap(&self.map, self.dimensions.0, self.dimensions.1, self.colours)
    }

    /// The map as heat over the photograph (see [`paint_over`]), with outlines around the regions.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for a photograph of other dimensions.
    pub fn overlay(&self, photograph: &RgbImage) -> Result<RgbImage> {
        let mut picture = paint_over(photograph, &self.map, self.colours, OPACITY)?;
        if let Some(threshold) = self.threshold {
            let (width, height) = self.dimensions;
            draw_outlines(&mut picture, &self.map, threshold, OUTLINE, width.min(height) / OUTLINES_ACROSS)?;
        }
        Ok(picture)
    }
}
