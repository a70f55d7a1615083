//! What is written for one photograph.

use crate::output;
use crate::pipeline::Inspected;
use anyhow::Result;
use pcsnet::image::{Rect, RgbImage, Scale};
use pcsnet::inspect::{Calibration, DriftReport, Findings, InspectionTimes, Region, Verdict};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where and how photographs' outputs are written.
pub(crate) struct Outputs<'a> {
    pub out: &'a Path,
    /// The model's own.
    pub model: &'a Calibration,
    /// The same, with the colours that were asked for.
    pub calibration: &'a Calibration,
    pub pictures: bool,
    pub raw: bool,
}

/// What became of a photograph that was inspected.
pub(crate) struct Outcome {
    pub score: f32,
    /// Least value of the map.
    pub lowest: f32,
    /// Whether the part is good, where the model holds a threshold.
    pub verdict: Option<Verdict>,
    /// Whether it shows something else than the model's parts, where the model can tell.
    pub unlike: Option<bool>,
    /// Width and height of the photograph.
    pub dimensions: (u32, u32),
    /// The part of the photograph that the network saw.
    pub inspected: Rect,
    pub colours: Scale,
    /// Where the map is above the threshold, if there is one.
    pub regions: Option<Vec<Region>>,
    /// What is to be said of its file, such as that a part is missing.
    pub remarks: Vec<String>,
    /// How the latest parts of a line compare with those of the calibration.
    pub drift: Option<DriftReport>,
    pub files: Files,
    /// Why its files could not be written.
    pub unwritten: Option<anyhow::Error>,
    pub times: Times,
}

/// How long an image took.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    pub decode: Duration,
    pub preprocess: Duration,
    /// The image's share of its batches' time, transfers included.
    pub gpu: Duration,
    pub write: Duration,
}

/// What was written for a photograph, relative to the output folder.
#[derive(Default)]
pub(crate) struct Files {
    pub heatmap: Option<PathBuf>,
    pub overlay: Option<PathBuf>,
    pub map: Option<PathBuf>,
}

impl Outputs<'_> {
    /// Writes what belongs to a photograph; `name` is its place below the output folder. What cannot be written is told
    /// in the outcome: the verdict stands.
    pub(crate) fn write(&self, name: &Path, inspected: &Inspected) -> Result<Outcome> {
        let start = Instant::now();
        let findings = inspected.inspection.findings(self.calibration)?;
        let (files, unwritten) = match self.write_files(name, &findings, &inspected.photograph) {
            Ok(files) => (files, None),
            Err(error) => (Files::default(), Some(error)),
        };
        let InspectionTimes { preprocess, network } = inspected.inspection.times;
        let times = Times { decode: inspected.decode, preprocess, gpu: network, write: start.elapsed() };
        let remarks = inspected.remarks.clone();
        let unlike = inspected.inspection.is_unlike(self.model);
        let Findings { score, lowest, verdict, dimensions, inspected, colours, regions, .. } = findings;
        Ok(Outcome {
            score,
            lowest,
            verdict,
            unlike,
            dimensions,
            inspected,
            colours,
            regions,
            remarks,
            drift: None,
            files,
            unwritten,
            times,
        })
    }

    fn write_files(&self, name: &Path, findings: &Findings<'_>, photograph: &RgbImage) -> Result<Files> {
        let files = self.files(name);
        if let Some(file) = &files.heatmap {
            output::write_png(&self.out.join(file), &findings.heatmap()?)?;
        }
        if let Some(file) = &files.overlay {
            output::write_png(&self.out.join(file), &findings.overlay(photograph)?)?;
        }
        if let Some(file) = &files.map {
            let (width, height) = findings.dimensions;
            output::write_npy(&self.out.join(file), &findings.map, [height, width])?;
        }
        Ok(files)
    }

    fn files(&self, name: &Path) -> Files {
        // The whole name stays, because 000.png and 000.jpg may lie side by side.
        let named = |suffix: &str| {
            let mut file = shortened(name, LONGEST_NAME - suffix.len()).into_os_string();
            file.push(suffix);
            PathBuf::from(file)
        };
        Files {
            heatmap: self.pictures.then(|| named(".heatmap.png")),
            overlay: self.pictures.then(|| named(".overlay.png")),
            map: self.raw.then(|| named(".map.npy")),
        }
    }
}

/// Bytes that file systems allow a name.
const LONGEST_NAME: usize = 255;

/// A path whose last part has at most so many bytes: where it has more, its beginning and a hash of it all.
fn shortened(path: &Path, bytes: usize) -> PathBuf {
    let name = path.file_name().unwrap_or_default();
    if name.len() <= bytes {
        return path.to_owned();
    }
    let hash: String =
        Sha256::digest(name.as_encoded_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let mut start = name.to_string_lossy().into_owned();
    let room = bytes - hash.len() - 1;
    start.truncate((0..=room).rev().find(|&end| start.is_char_boundary(end)).unwrap_or(0));
    path.with_file_name(format!("{start}~{hash}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_shortened_and_stay_apart() {
        let long = |end: &str| Path::new("line 1").join("\u{e4}".repeat(120) + end);
        let [first, second] = [long("0123456789.png"), long("0123456780.png")].map(|name| shortened(&name, 243));
        assert_ne!(first, second);
        for name in [&first, &second] {
            assert!(name.starts_with("line 1") && name.file_name().is_some_and(|name| name.len() <= 243), "{name:?}");
        }
        assert_eq!(shortened(Path::new("a/000.png"), 243), Path::new("a/000.png"));
    }
}
