//! `pcsnet calibrate`: a threshold and a colour range for a model, kept in its file.

mod alterations;

use crate::device::{self, DeviceArguments};
use crate::images::{self, Image};
use crate::output;
use crate::pipeline::{Pipeline, Source};
use crate::view::{Seen, ViewArguments};
use alterations::alterations;
use anyhow::{Context, Result, ensure};
use clap::Args;
use pcsnet::data::Dataset;
use pcsnet::image::{self, Scale};
use pcsnet::inspect::{CONFIDENCE, Calibration, FalseAlarms, Method, threshold_for};
use pcsnet::metrics::{BestF1, ranking};
use pcsnet::weights::{Weights, update_metadata};
use pollster::block_on;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Up to so many good photographs, each stands for several, slightly altered.
const FEW: usize = 8;

const NOTES: &str = "\
From photographs of good parts, which the model was not trained on, comes the threshold that a stated share of good parts \
will exceed, with its uncertainty:
  from about 1 / RATE photographs on, one of their scores, by its rank; that holds whatever the scores' distribution
  from fewer, by extrapolation, with an extreme-value distribution
  from 2 to 8, each also shifted by 2 % and brightened and darkened by 5 % (and mirrored, with --flips), by extrapolation; \
copies that hardly differ count for little
The training images themselves will do where there are no others, but a model scores them too low: expect more false \
alarms than stated. Photographs of the same part count as if they were of different ones; what is stated then sounds surer \
than it is.

With --labelled, the threshold is the one with the best F1 on a test set, of which all layouts of `pcsnet evaluate` are read.

Written into the model's file, which is replaced as a whole (the head's, where model and backbone are two files): \
pcsnet.threshold; pcsnet.scale, the colours' range from the median of good maps to as far above the threshold; \
pcsnet.tiles and pcsnet.fit, where they are given; pcsnet.calibration, how all this was found. `pcsnet detect` goes by it. \
Scores and so thresholds hold for --precision as calibrated.

Examples:
  pcsnet calibrate --model bottle.safetensors good/
  pcsnet calibrate --model wide.safetensors head.safetensors --false-alarm-rate 0.001 good/
  pcsnet calibrate --model bottle.safetensors --labelled mvtec/bottle";

/// Give a model a threshold: from good parts for a false-alarm rate, or the F1-best of a labelled set.
#[derive(Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors. May be repeated, and any .safetensors file
    /// among the images belongs to the model too
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<PathBuf>,

    /// Photographs of good parts, and folders to search for them
    #[arg(value_name = "IMAGE|FOLDER", required_unless_present = "labelled")]
    inputs: Vec<PathBuf>,

    /// The share of good parts that may fail
    #[arg(long, value_name = "RATE", default_value_t = 0.01, value_parser = rate, conflicts_with = "labelled")]
    false_alarm_rate: f64,

    /// Where there are few photographs, mirror them too; for parts that may lie either way round
    #[arg(long, conflicts_with = "labelled")]
    flips: bool,

    /// A test set with good and defective parts
    #[arg(long, value_name = "FOLDER")]
    labelled: Option<PathBuf>,

    /// Only say what would be written
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    view: ViewArguments,

    #[command(flatten)]
    device: DeviceArguments,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 0.5);
    rate.ok_or_else(|| "a share above 0, at most 0.5, is expected, such as 0.01".to_owned())
}

/// What is kept as `pcsnet.calibration`.
#[derive(Serialize)]
#[serde(untagged)]
enum Origin {
    Normal {
        #[serde(flatten)]
        found: FalseAlarms,
        /// The rate that was asked for.
        wanted: f64,
        confidence: f64,
        /// How often each photograph was shown.
        copies: usize,
        precision: &'static str,
    },
    Labelled {
        method: &'static str,
        #[serde(flatten)]
        best: BestF1,
        good_images: u64,
        anomalous_images: u64,
        precision: &'static str,
    },
}

/// What one picture gives.
pub struct Look {
    score: f32,
    lowest: f32,
    /// Of the map.
    median: f32,
}

/// Runs `pcsnet calibrate`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let (model_files, inputs) = images::split_models(&arguments.model, &arguments.inputs);
    let weights = device::open_weights(&model_files)?;
    let head = head_file(&model_files)?;
    let work = match &arguments.labelled {
        Some(folder) => {
            ensure!(inputs.is_empty(), "give photographs of good parts or --labelled, not both");
            Work::Labelled(Dataset::open(folder)?)
        }
        // Nothing is written into a folder of images.
        None => Work::Normal(images::find(&inputs, &PathBuf::new())?),
    };
    let engine = device::engine(&arguments.device)?;
    let model = device::load(&engine, &weights, &arguments.device, arguments.view.batch)?;
    let session = block_on(model.session(arguments.view.batch)).context("cannot prepare the network")?;
    // The model's own calibration is what is made anew here, tiles included.
    let viewing = arguments.view.viewing(&model, &Calibration::default());
    let pipeline = Pipeline { session: &session, viewing, jobs: arguments.view.jobs(), stop: &AtomicBool::new(false) };
    let precision = arguments.device.precision.name();
    let (origin, threshold, looks) = match &work {
        Work::Normal(images) => from_normal(arguments, &pipeline, images, precision)?,
        Work::Labelled(set) => from_labelled(&pipeline, set, precision)?,
    };
    let scale = scale_around(threshold, &looks);
    let calibration = Calibration { threshold: Some(threshold), scale: Some(scale), tiles: viewing.tiles };
    let mut text = describe(&origin, &calibration)?;
    if arguments.dry_run {
        text += "Nothing was written\n";
    } else {
        let mut changes: BTreeMap<String, Option<String>> = [("pcsnet.tiles".to_owned(), None)].into();
        changes.extend(calibration.to_metadata().into_iter().map(|(key, value)| (key, Some(value))));
        changes.insert("pcsnet.calibration".to_owned(), Some(serde_json::to_string(&origin)?));
        if let Some(fit) = arguments.view.fit {
            changes.insert("pcsnet.fit".to_owned(), Some(fit.name().to_owned()));
        }
        drop(weights);
        update_metadata(&head, &changes)?;
        writeln!(text, "Written into {}", head.display())?;
    }
    output::print(&text)
}

/// What a threshold is found from.
enum Work {
    Normal(Vec<Image>),
    Labelled(Dataset),
}

/// The file a category's own tensors are in.
fn head_file(files: &[PathBuf]) -> Result<PathBuf> {
    for file in files {
        if Weights::open([file])?.contains("adaptor.C") {
            return Ok(file.clone());
        }
    }
    anyhow::bail!("none of the model's files holds `adaptor.C`")
}

fn from_normal(
    arguments: &Arguments,
    pipeline: &Pipeline<'_>,
    images: &[Image],
    precision: &'static str,
) -> Result<(Origin, f32, Vec<Look>)> {
    ensure!(images.len() > 1, "one photograph cannot tell how much good parts differ; give at least 2, better 100");
    let few = images.len() <= FEW;
    let items: Box<dyn Iterator<Item = Result<(usize, Source)>> + Send> = if few {
        Box::new(images.iter().enumerate().flat_map(|(index, image)| copies(index, image, arguments.flips)))
    } else {
        Box::new(images.iter().enumerate().map(|(index, image)| Ok((index, Source::File(image.path.clone())))))
    };
    let mut scores = vec![Vec::new(); images.len()];
    let mut looks = Vec::new();
    pipeline.run(
        items,
        |_, seen| Ok(Look::of(&seen)),
        |index, look| {
            let look = look?;
            scores[index].push(look.score);
            looks.push(look);
            Ok(())
        },
    )?;
    let wanted = arguments.false_alarm_rate;
    let found = threshold_for(&scores, wanted)?;
    let copies = if few { alterations(arguments.flips).len() } else { 1 };
    Ok((Origin::Normal { found, wanted, confidence: CONFIDENCE, copies, precision }, found.threshold, looks))
}

/// A photograph, as it is and altered.
fn copies(index: usize, image: &Image, flips: bool) -> Box<dyn Iterator<Item = Result<(usize, Source)>> + Send> {
    match image::open(&image.path) {
        Ok(photograph) => {
            let photograph = Arc::new(photograph);
            let altered = move |alteration: alterations::Alteration| Source::Picture(alteration.apply(&photograph));
            Box::new(alterations(flips).into_iter().map(move |alteration| Ok((index, altered(alteration)))))
        }
        Err(error) => Box::new(std::iter::once(Err(error.into()))),
    }
}

fn from_labelled(pipeline: &Pipeline<'_>, set: &Dataset, precision: &'static str) -> Result<(Origin, f32, Vec<Look>)> {
    let (mut scores, mut anomalous, mut looks) = (Vec::new(), Vec::new(), Vec::new());
    let items = set.test.iter().map(|item| Ok((item, Source::File(item.path.clone()))));
    pipeline.run(
        items,
        |_, seen| Ok(Look::of(&seen)),
        |item, look| {
            let look = look?;
            scores.push(look.score);
            anomalous.push(item.kind.is_some());
            looks.extend(item.kind.is_none().then_some(look));
            Ok(())
        },
    )?;
    let found = ranking(&scores, &anomalous)?;
    found.auroc.with_context(|| format!("no threshold can be found from {}", set.name))?;
    let best = found.best_f1.with_context(|| format!("no threshold can be found from {}", set.name))?;
    let (good_images, anomalous_images) = (found.normal, found.anomalous);
    let threshold = between(best.threshold, &scores);
    Ok((Origin::Labelled { method: "best_f1", best, good_images, anomalous_images, precision }, threshold, looks))
}

/// Half way from a score to the next lower one, so that exactly the scores from the given one on are above.
pub fn between(score: f32, scores: &[f32]) -> f32 {
    let next = scores.iter().copied().filter(|other| *other < score).reduce(f32::max);
    let middle = next.map_or(score - score.abs().max(1e-3) * 1e-3, |next| next / 2.0 + score / 2.0);
    if middle < score { middle } else { next.unwrap_or(middle) }
}

impl Look {
    pub fn of(seen: &Seen) -> Self {
        let mut values = seen.map.clone();
        let middle = values.len() / 2;
        let (_, median, _) = values.select_nth_unstable_by(middle, f32::total_cmp);
        Self { score: seen.score, lowest: seen.lowest(), median: *median }
    }
}

/// From what is common in maps of good parts to as far above the threshold.
pub fn scale_around(threshold: f32, good: &[Look]) -> Scale {
    let mut medians: Vec<f32> = good.iter().map(|look| look.median).collect();
    medians.sort_by(f32::total_cmp);
    let lowest = good.iter().map(|look| look.lowest).fold(threshold, f32::min);
    let median = medians.get(medians.len() / 2).copied().filter(|median| *median < threshold);
    // A threshold below most of the good maps still needs a range around it.
    let low = median.unwrap_or(if lowest < threshold { lowest } else { threshold - threshold.abs().max(1e-3) });
    Scale { low, high: threshold + (threshold - low) }
}

fn describe(origin: &Origin, calibration: &Calibration) -> Result<String> {
    let mut text = String::new();
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    match origin {
        Origin::Normal { found, wanted, copies, .. } => {
            let FalseAlarms { threshold, rate, interval: [low, high], method, images } = found;
            writeln!(text, "Threshold {threshold}: scores above it fail")?;
            writeln!(
                text,
                "False alarms: {} of good parts expected ({} wanted), with {:.0} % confidence {} to {}",
                percent(*rate),
                percent(*wanted),
                100.0 * CONFIDENCE,
                percent(*low),
                percent(*high)
            )?;
            let how = match method {
                Method::Rank => "by rank, whatever the scores' distribution",
                Method::ExtremeValue => "by extrapolation, as if scores were extreme values (Gumbel)",
            };
            let shown = if *copies > 1 { format!(", each shown in {copies} variations") } else { String::new() };
            writeln!(text, "From {images} photographs{shown}; {how}")?;
        }
        Origin::Labelled { best, good_images, anomalous_images, .. } => {
            let threshold = calibration.threshold.unwrap_or(best.threshold);
            writeln!(text, "Threshold {threshold}: scores above it fail")?;
            writeln!(text, "F1 {:.4} on {good_images} good and {anomalous_images} anomalous images", best.f1)?;
        }
    }
    if let Some(Scale { low, high }) = calibration.scale {
        writeln!(text, "Colours from {low} to {high}")?;
    }
    if let Some(tiles) = calibration.tiles {
        writeln!(text, "In tiles of {tiles} x {tiles} pixels")?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_between_two_scores() {
        let scores = [0.1, 0.5, 0.5, 0.75];
        assert_eq!(between(0.75, &scores), 0.625);
        assert!(between(0.1, &scores) < 0.1);
        // No number lies between these two.
        let next = f32::from_bits(1.0_f32.to_bits() + 1);
        assert_eq!(between(next, &[1.0, next]), 1.0);
    }

    #[test]
    fn the_threshold_is_the_middle_of_the_colours() {
        let look = |median| Look { score: 1.0, lowest: -1.0, median };
        assert_eq!(scale_around(1.0, &[look(0.25), look(0.5), look(0.75)]), Scale { low: 0.5, high: 1.5 });
        assert_eq!(scale_around(0.0, &[look(0.5)]), Scale { low: -1.0, high: 1.0 });
        assert_eq!(scale_around(2.0, &[]), Scale { low: 0.0, high: 4.0 });
    }
}
