//! What is written for one photograph.

use crate::output;
use crate::pipeline::Inspected;
use anyhow::Result;
use pcsnet::image::{Rect, Scale};
use pcsnet::inspect::{Calibration, Findings, InspectionTimes, Region};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where and how photographs' outputs are written.
pub struct Outputs<'a> {
    pub out: &'a Path,
    pub calibration: &'a Calibration,
    pub pictures: bool,
    pub raw: bool,
}

/// What became of a photograph that was inspected.
pub struct Outcome {
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

/// How long an image took.
#[derive(Clone, Copy)]
pub struct Times {
    pub decode: Duration,
    pub preprocess: Duration,
    /// The image's share of its batches' time, transfers included.
    pub gpu: Duration,
    pub write: Duration,
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
    pub fn write(&self, name: &Path, inspected: &Inspected) -> Result<Outcome> {
        let start = Instant::now();
        let findings = inspected.inspection.findings(self.calibration)?;
        let files = self.files(name);
        if let Some(file) = &files.heatmap {
            output::write_png(&self.out.join(file), &findings.heatmap()?)?;
        }
        if let Some(file) = &files.overlay {
            output::write_png(&self.out.join(file), &findings.overlay(&inspected.photograph)?)?;
        }
        if let Some(file) = &files.map {
            let (width, height) = findings.dimensions;
            output::write_npy(&self.out.join(file), &findings.map, [height, width])?;
        }
        let InspectionTimes { preprocess, network } = inspected.inspection.times;
        let times = Times { decode: inspected.decode, preprocess, gpu: network, write: start.elapsed() };
        let Findings { score, lowest, dimensions, inspected, colours, regions, .. } = findings;
        Ok(Outcome { score, lowest, dimensions, inspected, colours, regions, files, times })
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
