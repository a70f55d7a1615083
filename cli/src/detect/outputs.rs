//! What is written for one photograph.

use crate::output;
use crate::pipeline::Times;
use crate::view::Seen;
use anyhow::Result;
use pcsnet::image::{self, Rect, Scale};
use pcsnet::inspect::{Calibration, Region, draw_outlines, regions};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How much of the photograph the overlay's reddest place covers.
const OPACITY: f32 = 0.6;
/// Outlines of regions.
const OUTLINE: ::image::Rgb<u8> = ::image::Rgb([255; 3]);
/// An outline's share of the photograph's shorter side.
const OUTLINE_SHARE: u32 = 200;

/// Where and how photographs' outputs are written.
pub struct Outputs<'a> {
    pub out: &'a Path,
    pub calibration: &'a Calibration,
    /// The colours' range; `None` for each map's own.
    pub scale: Option<Scale>,
    pub pictures: bool,
    pub raw: bool,
}

/// A photograph that was done.
pub struct Inspected {
    pub score: f32,
    /// Least value of the map.
    pub lowest: f32,
    /// Width and height of the photograph.
    pub dimensions: (u32, u32),
    /// The part of the photograph that the network saw.
    pub inspected: Rect,
    pub colours: Scale,
    /// Where the map is above the threshold, if there is one.
    pub regions: Option<Vec<Region>>,
    pub files: Files,
    pub times: Times,
}

/// What was written for a photograph, relative to the output folder.
#[derive(Default)]
pub struct Files {
    pub heatmap: Option<PathBuf>,
    pub overlay: Option<PathBuf>,
    pub map: Option<PathBuf>,
}

impl Outputs<'_> {
    /// Writes what belongs to a photograph; `name` is its place below the output folder.
    pub fn write(&self, name: &Path, seen: &Seen) -> Result<Inspected> {
        let start = Instant::now();
        let map = seen.original_map()?;
        let (score, lowest) = (seen.score, seen.lowest());
        let colours = self.scale.unwrap_or(Scale { low: lowest, high: score });
        let (width, height) = seen.view.dimensions();
        let threshold = self.calibration.threshold;
        let regions = threshold.map(|threshold| regions(&map, width as usize, threshold)).transpose()?;
        let files = self.files(name);
        if let Some(file) = &files.heatmap {
            output::write_png(&self.out.join(file), &image::heatmap(&map, width, height, colours)?)?;
        }
        if let Some(file) = &files.overlay {
            let mut overlay = image::paint_over(&seen.photograph, &map, colours, OPACITY)?;
            if let Some(threshold) = threshold {
                draw_outlines(&mut overlay, &map, threshold, OUTLINE, width.min(height) / OUTLINE_SHARE)?;
            }
            output::write_png(&self.out.join(file), &overlay)?;
        }
        if let Some(file) = &files.map {
            output::write_npy(&self.out.join(file), &map, [height, width])?;
        }
        let times = Times { write: start.elapsed(), ..seen.times };
        let (dimensions, inspected) = ((width, height), seen.view.inspected());
        Ok(Inspected { score, lowest, dimensions, inspected, colours, regions, files, times })
    }

    fn files(&self, name: &Path) -> Files {
        // The whole name stays, because 000.png and 000.jpg may lie side by side.
        let named = |suffix: &str| {
            let mut name = name.to_owned().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        Files {
            heatmap: self.pictures.then(|| named(".heatmap.png")),
            overlay: self.pictures.then(|| named(".overlay.png")),
            map: self.raw.then(|| named(".map.npy")),
        }
    }
}
