//! `pcsnet calibrate`: a threshold and a colour range for a model, kept in its file.

use crate::device::{self, DeviceArguments};
use crate::framing::FramingArguments;
use crate::images::{self, Image};
use crate::monitor::Monitor;
use crate::output;
use crate::pipeline::{Inspected, Pipeline, Source};
use anyhow::{Context, Result, ensure};
use clap::Args;
use pcsnet::data::Dataset;
use pcsnet::image::{Decoder, Scale};
use pcsnet::inspect::{
    self, Alteration, Calibrated, Calibration, FalseAlarms, Fingerprint, GoodPart, MapSummary, Method, Origin, Setting,
    TrainingImages, alterations, calibrate_labelled,
};
use pcsnet::schema;
use pcsnet::weights::{Role, Weights, update_metadata};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

const NOTES: &str = "\
From photographs of good parts, which the model was not trained on, comes the threshold that a stated share of good \
parts will exceed, with its uncertainty:
  from about 1 / RATE photographs on, one of their scores, by its rank; that holds whatever the scores' distribution
  from fewer, by extrapolation, with an extreme-value distribution
  from 2 to 8, each also shifted by 2 % and brightened and darkened by 5 % (and mirrored, with --flips), by \
extrapolation; copies that hardly differ count for little
Photographs that the model was made from, which it scores too low, are left out: by their content where the model's \
metadata list it, else by their names. Copies of a photograph count once, but different photographs of one part as if \
they were of different parts; what is stated then sounds surer than it is. Parts whose scores are far above the \
others' are named, and so are photographs that cannot be inspected whole, which are left out.

With --labelled, the threshold is the one with the best F1 on a test set, in any of the layouts that `pcsnet evaluate` \
reads.

Written into the model's file, which is replaced as a whole (the head's, where model and backbone are two files): \
pcsnet.threshold; pcsnet.scale, the colours' range from the median of good maps to as far above the threshold; \
pcsnet.tiles and pcsnet.fit, where they are given; pcsnet.good_scores, with which a line's are compared; \
pcsnet.calibration, how all this was found. `pcsnet detect` goes by it. Scores and so thresholds \
hold for --precision as calibrated.

Examples:
  pcsnet calibrate --model bottle.safetensors good/
  pcsnet calibrate --model wide.safetensors head.safetensors --false-alarm-rate 0.001 good/
  pcsnet calibrate --model bottle.safetensors --labelled mvtec/bottle";

/// What is done with every photograph.
const STEP: &str = "inspecting";
const BAR: &str = "{msg} {bar:40} {pos}/{len}";

/// Give a model a threshold: from good parts for a false-alarm rate, or the F1-best of a labelled set.
#[derive(Debug, Args)]
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
    framing: FramingArguments,

    #[command(flatten)]
    device: DeviceArguments,
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| *rate > 0.0 && *rate <= 0.5);
    rate.ok_or_else(|| "a share above 0, at most 0.5, is expected, such as 0.01".to_owned())
}

/// A calibration that was found, and what became of it.
#[derive(Debug)]
pub struct Outcome {
    /// The calibration.
    pub calibrated: Calibrated,
    /// The photographs of good parts that it was found from, by whose numbers it names some; none with labelled ones.
    pub photographs: Vec<PathBuf>,
    /// The file that it was written into.
    pub written: Option<PathBuf>,
}

/// Runs `pcsnet calibrate`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let outcome = output::with_bar(BAR, &AtomicBool::new(false), |monitor| calibrate(arguments, monitor))?;
    output::print(&describe(&outcome)?)
}

/// Calibrates a model and, where that is wanted, writes it into its file.
///
/// # Errors
/// Whatever keeps it from being found or written; the file then stays as it was.
pub fn calibrate(arguments: &Arguments, monitor: Monitor<'_>) -> Result<Outcome> {
    let (model_files, inputs) = images::split_models(&arguments.model, &arguments.inputs);
    let weights = device::open_weights(&model_files)?;
    let head = head_file(&model_files, &weights)?;
    let mut work = match &arguments.labelled {
        Some(folder) => {
            ensure!(inputs.is_empty(), "give photographs of good parts or --labelled, not both");
            Work::Labelled(Dataset::open(folder)?)
        }
        // Nothing is written into a folder of images.
        None => Work::Good(without_training(images::find(&inputs, &PathBuf::new())?, &weights)?),
    };
    let engine = device::engine(&arguments.device.adapter)?;
    let model = device::load(&engine, &weights, &arguments.device, arguments.framing.batch)?;
    // The model's own calibration is what is made anew here, tiles included.
    let inspector = arguments.framing.inspector(&model, Calibration::default())?;
    let setting = Setting { framing: inspector.framing(), precision: arguments.device.precision };
    let jobs = arguments.framing.jobs();
    let decoder = arguments.framing.decoder(&weights.metadata())?;
    let pipeline = Pipeline::new(&inspector, decoder, jobs, monitor.stop);
    let calibrated = match &mut work {
        Work::Good(images) => {
            let parts = survey(&pipeline, images, arguments.flips, monitor)?;
            inspect::calibrate(&parts, arguments.false_alarm_rate, setting)?
        }
        Work::Labelled(set) => calibrate_labelled(&survey_labelled(&pipeline, set, monitor)?, setting)
            .with_context(|| format!("no threshold can be found from {}", set.name))?,
    };
    let photographs = match work {
        Work::Good(images) => images.into_iter().map(|image| image.path).collect(),
        Work::Labelled(_) => Vec::new(),
    };
    if !arguments.dry_run {
        drop(weights);
        let mut changes = calibrated.to_metadata();
        // The scores hold for photographs that are read in this range alone.
        let range = arguments.framing.range.map(|range| range.to_metadata());
        changes.extend(range.map(|(key, value)| (key, Some(value))));
        update_metadata(&head, &changes)?;
    }
    Ok(Outcome { calibrated, photographs, written: (!arguments.dry_run).then_some(head) })
}

/// What a threshold is found from.
enum Work {
    Good(Vec<Image>),
    Labelled(Dataset),
}

/// The file a category's own tensors are in: that of its prototypes.
fn head_file(files: &[PathBuf], model: &Weights) -> Result<PathBuf> {
    let head = schema::head(&model.config()?);
    let prototypes = head.tensors().iter().find(|tensor| tensor.role == Role::Prototypes);
    let name = &prototypes.context("a head without prototypes")?.name;
    for file in files {
        if Weights::open([file])?.contains(name) {
            return Ok(file.clone());
        }
    }
    anyhow::bail!("none of the model's files holds `{name}`")
}

/// The images without those that the model was made from.
fn without_training(images: Vec<Image>, weights: &Weights) -> Result<Vec<Image>> {
    let training = TrainingImages::from_metadata(&weights.metadata());
    let is_training = |image: &Image| -> Result<bool> {
        let name = image.path.file_name().unwrap_or_default().to_string_lossy();
        let sha256 = if training.has_hashes() { output::sha256_of(&image.path)? } else { String::new() };
        Ok(training.contains(&name, &sha256))
    };
    let known = images.iter().map(is_training).collect::<Result<Vec<_>>>()?;
    let (known, others): (Vec<_>, Vec<_>) = images.into_iter().zip(known).partition(|(_, known)| *known);
    let [known, others] = [known, others].map(|images| images.into_iter().map(|(image, _)| image).collect::<Vec<_>>());
    if known.is_empty() {
        return Ok(others);
    }
    let (are, way_out) = match training.has_hashes() {
        true => ("are among those the model was made from", ""),
        false => (
            "have names of those the model was made from",
            "; if they are other photographs of the same names, give them others",
        ),
    };
    let said = format!(
        "{} of {} photographs {are}: {}",
        known.len(),
        known.len() + others.len(),
        names(known.iter().map(|image| &image.path))
    );
    ensure!(
        others.len() > 1,
        "{said}. A model scores them too low to be calibrated with them{way_out}; give at least 2 others, better 100"
    );
    output::complain(&format!("{said}; they are left out{way_out}"));
    Ok(others)
}

/// The first few names of images.
fn names<'a>(paths: impl ExactSizeIterator<Item = &'a PathBuf>) -> String {
    const SHOWN: usize = 5;
    let count = paths.len();
    let mut names: Vec<_> = paths.take(SHOWN).map(|path| path.display().to_string()).collect();
    if count > SHOWN {
        names.push(format!("{} more", count - SHOWN));
    }
    names.join(", ")
}

/// What is to be said of single photographs.
fn remarks(Calibrated { repeated, outliers, .. }: &Calibrated, photographs: &[PathBuf]) -> Result<String> {
    let mut text = String::new();
    if let Some(&(copy, original)) = repeated.first() {
        let [copy, original] = [copy, original].map(|index| photographs[index].display());
        writeln!(
            text,
            "{} of {} photographs are copies of others and were not counted, such as {copy} of {original}",
            repeated.len(),
            photographs.len()
        )?;
    }
    if !outliers.is_empty() {
        writeln!(
            text,
            "Warning: scores far above all others, which move the threshold: {}. Look at them; if they are not good \
             parts, calibrate without them",
            names(outliers.iter().map(|&index| &photographs[index]))
        )?;
    }
    Ok(text)
}

/// What is found in each photograph and its altered copies. Those that cannot be inspected whole are taken out of
/// `images`.
fn survey(
    pipeline: &Pipeline<'_>,
    images: &mut Vec<Image>,
    flips: bool,
    monitor: Monitor<'_>,
) -> Result<Vec<GoodPart>> {
    const TOO_FEW: &str = "one photograph cannot tell how much good parts differ; give at least 2, better 100";
    ensure!(images.len() > 1, TOO_FEW);
    let alterations = alterations(images.len(), flips);
    let (mut done, total) = (0, images.len() * (1 + alterations.len()));
    let items = images.iter().enumerate().flat_map(|(index, image)| {
        copies(image, &pipeline.decoder, &alterations).map(move |source| Ok((index, source?)))
    });
    let (mut parts, mut unusable) = (BTreeMap::<usize, GoodPart>::new(), BTreeMap::new());
    pipeline.run(
        items,
        |_, inspected| {
            let Inspected { photograph, inspection, .. } = inspected.whole()?;
            Ok((Fingerprint::of(&photograph), inspection.summary()))
        },
        |index, found| {
            done += 1;
            monitor.tell(STEP, done, total);
            match found {
                // They come in order, each photograph itself before its altered copies.
                Ok((fingerprint, summary)) => {
                    let new = || GoodPart { fingerprint, summaries: Vec::new() };
                    parts.entry(index).or_insert_with(new).summaries.push(summary);
                }
                Err(error) => {
                    unusable.entry(index).or_insert(error);
                }
            }
            Ok(())
        },
    )?;
    monitor.ensure_wanted()?;
    for (index, error) in &unusable {
        let (path, reason) = (images[*index].path.display().to_string(), crate::one_line(error));
        let reason = if reason.contains(&path) { reason } else { format!("{path}: {reason}") };
        output::complain(&format!("left out: {reason}"));
    }
    let mut index = 0..;
    images.retain(|_| index.next().is_some_and(|index| !unusable.contains_key(&index)));
    ensure!(images.len() > 1, "{} photographs could not be inspected; {TOO_FEW}", unusable.len());
    parts.retain(|index, _| !unusable.contains_key(index));
    Ok(parts.into_values().collect())
}

/// A photograph as it is and, read once, altered.
fn copies<'a>(
    image: &Image,
    decoder: &Decoder,
    alterations: &'a [Alteration],
) -> Box<dyn Iterator<Item = Result<Source>> + Send + 'a> {
    if alterations.is_empty() {
        return Box::new(std::iter::once(Ok(Source::File(image.path.clone()))));
    }
    match decoder.open(&image.path).and_then(|decoded| decoded.whole("")) {
        Ok(photograph) => {
            let itself = Source::Picture(photograph.clone());
            let altered = alterations.iter().map(move |alteration| Source::Picture(alteration.apply(&photograph)));
            Box::new(std::iter::once(itself).chain(altered).map(Ok))
        }
        // Where it is read once more, it is told why it cannot be.
        Err(_) => Box::new(std::iter::once(Ok(Source::File(image.path.clone())))),
    }
}

/// What is found in each photograph of a test set, and whether it shows a defect.
fn survey_labelled(pipeline: &Pipeline<'_>, set: &Dataset, monitor: Monitor<'_>) -> Result<Vec<(MapSummary, bool)>> {
    let mut parts = Vec::new();
    let items = set.test.iter().map(|item| Ok((item, Source::File(item.path.clone()))));
    pipeline.run(
        items,
        |_, inspected| Ok(inspected.whole()?.inspection.summary()),
        |item, summary| {
            let summary = summary.with_context(|| item.path.display().to_string())?;
            parts.push((summary, item.kind.is_some()));
            monitor.tell(STEP, parts.len(), set.test.len());
            Ok(())
        },
    )?;
    monitor.ensure_wanted()?;
    Ok(parts)
}

fn describe(Outcome { calibrated, photographs, written }: &Outcome) -> Result<String> {
    let Calibrated { calibration, origin, .. } = calibrated;
    let mut text = String::new();
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    if let Some(threshold) = calibration.threshold {
        writeln!(text, "Threshold {threshold}: scores above it fail")?;
    }
    match origin {
        Origin::Good { found, wanted, confidence, copies } => {
            let FalseAlarms { rate, interval: [low, high], method, images, .. } = found;
            writeln!(
                text,
                "False alarms: {} of good parts expected ({} wanted), with {:.0} % confidence {} to {}",
                percent(*rate),
                percent(*wanted),
                100.0 * confidence,
                percent(*low),
                percent(*high)
            )?;
            let how = match method {
                Method::Rank => "by rank, whatever the scores' distribution",
                Method::ExtremeValue => "by extrapolation, as if scores were extreme values (Gumbel)",
                Method::LogNormal => "by extrapolation, as if scores' logarithms were normally distributed",
            };
            let shown = if *copies > 1 { format!(", each shown in {copies} variations") } else { String::new() };
            writeln!(text, "From {images} photographs{shown}; {how}")?;
        }
        Origin::Labelled { best, good_images, anomalous_images } => {
            writeln!(text, "F1 {:.4} on {good_images} good and {anomalous_images} anomalous images", best.f1)?;
        }
    }
    if let Some(Scale { low, high }) = calibration.scale {
        writeln!(text, "Colours from {low} to {high}")?;
    }
    if let Some(tiles) = calibration.tiles {
        writeln!(text, "In tiles of {tiles} x {tiles} pixels")?;
    }
    text += &remarks(calibrated, photographs)?;
    match written {
        Some(head) => writeln!(text, "Written into {}", head.display())?,
        None => text += "Nothing was written\n",
    }
    Ok(text)
}
