//! What a run leaves to read: the tables of scores, and the summary.

use super::outputs::{Outcome, Times};
use super::shard::Shard;
use crate::images::{Image, Version};
use crate::output;
use anyhow::Result;
use pcsnet::image::{Rect, Scale};
use pcsnet::inspect::{Calibration, DriftReport, Region, Verdict};
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// A line of `scores.jsonl`, of which `scores.csv` holds the simple part.
#[derive(Serialize)]
pub(crate) struct Row {
    path: String,
    score: Option<f32>,
    /// Pass or fail, where the model holds a threshold.
    verdict: Option<Verdict>,
    /// Whether the image shows something else than the model's parts, where the model can tell.
    unlike: Option<bool>,
    lowest: Option<f32>,
    width: Option<u32>,
    height: Option<u32>,
    error: Option<String>,
    /// What is to be said of the file, such as that a part is missing.
    remarks: Vec<String>,
    /// The part of the photograph that the network saw, in the photograph's pixels.
    inspected: Option<Rect>,
    /// Where the map is above the model's threshold, in the photograph's pixels, the highest peak first.
    regions: Option<Vec<Region>>,
    /// The values of the first and the last colour.
    colours: Option<[f32; 2]>,
    heatmap: Option<String>,
    overlay: Option<String>,
    map: Option<String>,
    /// How the latest parts of a line compare with those of the calibration.
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<DriftReport>,
    /// The image's place below the watched folder, and the version that was inspected.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<Version>,
}

impl Row {
    pub(crate) fn of(image: &Image, result: &Result<Outcome>) -> Self {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let done = result.as_ref().ok();
        let file = |path: Option<&std::path::PathBuf>| path.map(|path| text(path));
        Self {
            path: text(&image.path),
            score: done.map(|done| done.score),
            verdict: done.and_then(|done| done.verdict),
            unlike: done.and_then(|done| done.unlike),
            lowest: done.map(|done| done.lowest),
            width: done.map(|done| done.dimensions.0),
            height: done.map(|done| done.dimensions.1),
            error: trouble(result).map(crate::one_line),
            remarks: done.map(|done| done.remarks.clone()).unwrap_or_default(),
            inspected: done.map(|done| done.inspected),
            regions: done.and_then(|done| done.regions.clone()),
            colours: done.map(|done| [done.colours.low, done.colours.high]),
            heatmap: file(done.and_then(|done| done.files.heatmap.as_ref())),
            overlay: file(done.and_then(|done| done.files.overlay.as_ref())),
            map: file(done.and_then(|done| done.files.map.as_ref())),
            drift: done.and_then(|done| done.drift),
            name: image.version.as_ref().map(|_| text(&image.name)),
            file: image.version.clone(),
        }
    }

    /// The row as a line of JSON.
    pub(crate) fn line(&self) -> Result<String> {
        Ok(serde_json::to_string(self)? + "\n")
    }
}

/// What went wrong with an image: it could not be inspected, or what was found not be written.
pub(crate) fn trouble(result: &Result<Outcome>) -> Option<&anyhow::Error> {
    result.as_ref().map_or_else(Some, |done| done.unwritten.as_ref())
}

/// Writes `scores.csv` and `scores.jsonl`, or a shard's, a row for every image.
pub(crate) fn write_tables(out: &Path, shard: Shard, images: &[Image], results: &[Result<Outcome>]) -> Result<()> {
    let rows: Vec<Row> = images.iter().zip(results).map(|(image, result)| Row::of(image, result)).collect();
    output::write(&out.join(shard.table("csv")), |file| write_csv(file, shard.is_first(), &rows))?;
    output::write(&out.join(shard.table("jsonl")), |file| {
        rows.iter().try_for_each(|row| Ok(file.write_all(row.line()?.as_bytes())?))
    })
}

fn write_csv(file: &mut dyn Write, has_header: bool, rows: &[Row]) -> Result<()> {
    let mut table = csv::Writer::from_writer(file);
    if has_header {
        table.write_record(["path", "score", "verdict", "lowest", "width", "height", "error"])?;
    }
    for row in rows {
        let error = row.error.as_deref().map(output::cell);
        table.serialize((output::cell(&row.path), row.score, row.verdict, row.lowest, row.width, row.height, error))?;
    }
    Ok(table.flush()?)
}

/// How many images came to which end.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Images that pass; without a threshold, all that were done.
    passed: usize,
    failed: usize,
    /// Images that could not be inspected, or whose pictures could not be written.
    undone: usize,
}

impl Tally {
    pub(crate) fn count(&mut self, result: &Result<Outcome>) {
        self.undone += usize::from(trouble(result).is_some());
        match result.as_ref().map(|done| done.verdict) {
            Err(_) => {}
            Ok(Some(Verdict::Fail)) => self.failed += 1,
            Ok(_) => self.passed += 1,
        }
    }

    /// The exit code that tells it.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self { undone: 1.., .. } => crate::SOME_UNDONE,
            Self { failed: 1.., .. } => crate::SOME_FAIL,
            _ => crate::DONE,
        }
    }
}

/// What is printed at the end.
pub(crate) struct Summary<'a> {
    pub results: &'a [Result<Outcome>],
    /// The time from the first image's reading to the last one's writing.
    pub wall: Duration,
    pub out: &'a Path,
    pub shard: Shard,
    pub pictures: bool,
    pub calibration: &'a Calibration,
    pub tally: Tally,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done: Vec<&Outcome> = self.results.iter().flatten().collect();
        let all = self.results.len();
        writeln!(f, "{} of {all} images done, {} failed", done.len(), all - done.len())?;
        let pictures = if self.pictures { ", heatmaps and overlays" } else { "" };
        let [csv, jsonl] = ["csv", "jsonl"].map(|ending| self.shard.table(ending));
        writeln!(f, "Written to {}: {csv}, {jsonl}{pictures}", self.out.display())?;
        if done.is_empty() {
            return Ok(());
        }
        if let Some(threshold) = self.calibration.threshold {
            let Tally { passed, failed, .. } = self.tally;
            writeln!(f, "{passed} pass, {failed} fail: scores above {threshold}")?;
        }
        match done.iter().filter(|done| done.unlike == Some(true)).count() {
            0 => {}
            1 => writeln!(f, "1 image shows something else than the good parts")?,
            unlike => writeln!(f, "{unlike} images show something else than the good parts")?,
        }
        self.write_colours(f, &done)?;
        write_times(f, &done)?;
        let rate = done.len() as f64 / self.wall.as_secs_f64();
        let wall = self.wall.as_secs_f64();
        writeln!(f, "{rate:.2} images per second: {} in {wall:.2} s, reading, GPU and writing side by side", done.len())
    }
}

impl Summary<'_> {
    fn write_colours(&self, f: &mut fmt::Formatter<'_>, done: &[&Outcome]) -> fmt::Result {
        let scores = done.iter().map(|done| done.score);
        let highest = scores.clone().fold(f32::NEG_INFINITY, f32::max);
        let least_score = scores.fold(f32::INFINITY, f32::min);
        let lowest = done.iter().map(|done| done.lowest).fold(f32::INFINITY, f32::min);
        writeln!(f, "Scores from {least_score} to {highest}")?;
        match self.calibration.scale {
            Some(Scale { low, high }) => writeln!(f, "Colours span {low} to {high} in all images"),
            None => writeln!(
                f,
                "Colours span each image's own values, so they do not compare between images; for one range in all, \
                 add --scale {lowest},{highest}"
            ),
        }
    }
}

fn write_times(f: &mut fmt::Formatter<'_>, done: &[&Outcome]) -> fmt::Result {
    type Part = fn(&Times) -> Duration;
    let parts: [(&str, Part); 4] = [
        ("decode", |times| times.decode),
        ("preprocess", |times| times.preprocess),
        ("GPU", |times| times.gpu),
        ("write", |times| times.write),
    ];
    writeln!(f, "{:<12}{:>14}{:>14}", "", "median", "total")?;
    for (name, part) in parts {
        let mut times: Vec<Duration> = done.iter().map(|done| part(&done.times)).collect();
        times.sort();
        let middle = [times[(times.len() - 1) / 2], times[times.len() / 2]];
        let median = middle.iter().sum::<Duration>().as_secs_f64() / 2.0 * 1e3;
        let total = times.iter().sum::<Duration>().as_secs_f64();
        writeln!(f, "{name:<12}{median:>11.2} ms{total:>12.3} s")?;
    }
    Ok(())
}
