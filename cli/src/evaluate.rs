//! `pcsnet evaluate`: how good models are on test sets.

mod candidate;
mod gallery;
mod measure;
mod plan;
mod report;
mod tables;

pub(crate) use candidate::Candidate;
pub(crate) use measure::{METRICS, Measured};
pub(crate) use tables::Summary;

use crate::device::{self, DeviceArguments};
use crate::framing::FramingArguments;
use crate::monitor::Monitor;
use crate::output;
use anyhow::Result;
use clap::Args;
use gallery::Gallery;
use pcsnet::Engine;
use pcsnet::inspect::Framing;
use plan::{Category, ModelFiles};
use report::Subject;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
pub use tables::{Evaluated, json};

const NOTES: &str = "\
FOLDER holds a test set in the layout of MVTec AD and MPDD (test/good, test/KIND, ground_truth/KIND/NAME_mask.png) or \
of VisA, or is a plain folder: a folder for each kind, `good` among them, or single images; masks lie beside the \
images as NAME_mask.png, or in masks/. With --category, FOLDER holds such categories.

Measured over all images, and for each kind of defect together with the good images:
  images  AUROC, average precision and best F1 of the scores
  pixels  the same of the maps, in the network's frame (of tiles in the image's), and AUPRO to a false-positive rate \
of 0.3: exact, and as the authors compute it with 200 thresholds
All are exact, over every distinct value as a threshold; what is not defined is said to be undefined, and why.

Written to the output folder:
  metrics.md    tables to read; with several models the mean and the standard deviation, as in the authors' table
  metrics.csv   a line for each category, model and kind
  metrics.json  all of it
  images.csv    the score of each image
  CATEGORY-MODEL.html  a report for each category and model, in one file: figures, curves, and a gallery of all \
images, worst first

Examples:
  pcsnet evaluate mvtec/bottle --model bottle.safetensors
  pcsnet evaluate mvtec --category all --backbone wide.safetensors --model heads/{category}-0.safetensors \
--model heads/{category}-1.safetensors";

/// What progress looks like.
pub(crate) const BAR: &str = "{msg} {bar:40} {pos}/{len} images, {per_sec}, {eta} left";

/// Measure how well models find defects: AUROC, average precision, F1 and AUPRO.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// The test set, or with --category the folder of test sets
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// A category in FOLDER; `all` for every one that has a model
    #[arg(long, value_name = "NAME|all")]
    category: Option<String>,

    /// A model. When repeated, all are measured, and their mean and spread are given; `{category}` in the name stands
    /// for the category's
    #[arg(long, value_name = "FILE", required = true)]
    model: Vec<String>,

    /// The backbone's file, where the models are heads without one
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,

    /// The folder for everything that is written; it is made if missing
    #[arg(long, value_name = "FOLDER", default_value = "pcsnet-evaluation")]
    out: PathBuf,

    /// Write no HTML reports
    #[arg(long)]
    no_report: bool,

    #[command(flatten)]
    framing: FramingArguments,

    #[command(flatten)]
    device: DeviceArguments,
}

/// Runs `pcsnet evaluate` and gives the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<u8> {
    let evaluated = output::with_bar(BAR, &AtomicBool::new(false), |monitor| evaluate(arguments, monitor))?;
    output::print(&tables::markdown(&evaluated))?;
    output::print(&format!("\nWritten to {}\n", arguments.out.display()))?;
    let is_whole = evaluated.iter().all(|evaluated| evaluated.measured.failed.is_empty());
    Ok(if is_whole { crate::DONE } else { crate::SOME_UNDONE })
}

/// Measures all models on their categories, and writes the tables and reports.
///
/// # Errors
/// Whatever ends it early; what was measured before is in the tables.
pub fn evaluate(arguments: &Arguments, monitor: Monitor<'_>) -> Result<Vec<Evaluated>> {
    // What can fail at once does so before minutes of work.
    let categories = plan::categories(&arguments.folder, arguments.category.as_deref(), &arguments.model)?;
    for ModelFiles { path, .. } in categories.iter().flat_map(|category| &category.models) {
        device::open_weights(&files(arguments, path))?;
    }
    output::ensure_writable(&arguments.out)?;
    let engine = device::engine(&arguments.device.adapter)?;
    let mut evaluated = Vec::new();
    for category in &categories {
        for model in &category.models {
            evaluated.push(evaluate_one(arguments, &engine, category, model, monitor)?);
            // After each, so that a long run that is stopped leaves what it has.
            tables::write(&arguments.out, &evaluated)?;
        }
    }
    Ok(evaluated)
}

fn files(arguments: &Arguments, head: &PathBuf) -> Vec<PathBuf> {
    arguments.backbone.iter().chain([head]).cloned().collect()
}

fn evaluate_one(
    arguments: &Arguments,
    engine: &Engine,
    category: &Category,
    model: &ModelFiles,
    monitor: Monitor<'_>,
) -> Result<Evaluated> {
    let weights = device::open_weights(&files(arguments, &model.path))?;
    let candidate = Candidate::new(engine, &weights, &arguments.framing, &arguments.device)?;
    let mut gallery = (!arguments.no_report).then(Gallery::new).transpose()?;
    let measured = candidate.measure(&model.name, &category.set, gallery.as_mut(), monitor)?;
    let category = &category.set.name;
    if let Some(gallery) = &mut gallery {
        let subject = Subject {
            category,
            model: &model.name,
            calibration: *candidate.inspector.calibration(),
            settings: settings(arguments, engine, candidate.inspector.framing(), &model.path),
            card: weights.metadata().iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
        };
        let name = format!("{category}-{}.html", model.name.replace(['/', '\\'], "_"));
        report::write(&arguments.out.join(name), &subject, &measured, gallery)?;
    }
    Ok(Evaluated { category: category.clone(), model: model.name.clone(), measured })
}

/// What a report says of the run.
fn settings(arguments: &Arguments, engine: &Engine, framing: Framing, model: &Path) -> Vec<(String, String)> {
    let adapter = engine.device().adapter_info();
    let settings = [
        ("Test set", arguments.folder.display().to_string()),
        ("Model file", model.display().to_string()),
        ("Photographs", format!("{framing}, as {0} x {0} pixels", framing.side)),
        ("Precision on the GPU", arguments.device.precision.name().to_owned()),
        ("Adapter", format!("{}, {:?}, {} {}", adapter.name, adapter.backend, adapter.driver, adapter.driver_info)),
        ("Program", format!("pcsnet {}", env!("CARGO_PKG_VERSION"))),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}
