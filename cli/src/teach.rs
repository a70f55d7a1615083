//! `pcsnet teach`: a model from photographs of good parts.

use crate::device::{self, AdapterArguments};
use crate::interrupt;
use crate::monitor::Monitor;
use crate::output;
use crate::shots::{self, Shot};
use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::image::{Decoder, ValueRange};
use pcsnet::inspect::Origin;
use pcsnet::teach::{
    Effort, PoseDecision, Poses, PseudoDefects, TaughtModel, TeachOptions, TeachProgress, TeachSummary, Teacher,
};
use pcsnet::weights::Weights;
use pollster::block_on;
use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

const NOTES: &str = "\
A folder gives the photographs in it; of a test set in MVTec AD's layout they are those in train/good. Nothing is \
trained by gradients: photographs become prototypes of what good parts look like, each is compared with those of the \
others, and that says how far good parts may be from them. What is decided on the way, and why, is said at the end.

The file holds everything: backbone, prototypes, threshold and colours. `pcsnet detect --model FILE` inspects with it. \
More photographs, such as one of a good part that failed, are added with --more, which needs the model's file and none \
of the first photographs; the threshold is then found anew.

Examples:
  pcsnet teach good/ --out part.safetensors
  pcsnet teach mvtec/screw --shots 8 --seed 1 --out screw.safetensors
  pcsnet teach good/ --backbone wide_resnet50_2.safetensors --accurate --out part.safetensors
  pcsnet teach --more false-alarm.png --model part.safetensors";

/// Make a model from a handful of photographs of good parts.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// Photographs of good parts, folders of them, or a test set
    #[arg(value_name = "GOOD", required = true)]
    inputs: Vec<PathBuf>,

    /// The model's file; with --more by default the model itself, which is replaced as a whole
    #[arg(long, value_name = "FILE", required_unless_present = "more")]
    out: Option<PathBuf>,

    /// Teach a model more photographs, without the first ones
    #[arg(long, requires = "model")]
    #[arg(conflicts_with_all = ["backbone", "poses", "range", "small", "accurate", "max_size"])]
    more: bool,

    /// The model that --more adds to
    #[arg(long, value_name = "FILE", requires = "more")]
    model: Option<PathBuf>,

    /// Take only so many of the photographs, drawn at random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    shots: Option<u32>,

    /// What is drawn at random
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,

    /// ImageNet weights of a WideResNet-50-2, ResNet-18 or EfficientNet-Lite0, as torchvision, timm or `pcsnet fetch`
    /// have them; by default an EfficientNet-Lite0 that is part of this program
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,

    /// The samples that are black and white in photographs of more than 8 bits, such as 0,4095 for a camera of 12 bits.
    /// By default they are recognised from all the photographs together; the model keeps them
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    range: Option<ValueRange>,

    #[command(flatten)]
    settings: TeachSettings,

    #[command(flatten)]
    device: AdapterArguments,
}

/// What a model that is taught shall be like.
#[derive(Args, Debug)]
pub(crate) struct TeachSettings {
    /// How parts lie: always as photographed, as photographed or mirrored, upside down or both (flips), or at any
    /// angle; by default the photographs tell whether at any angle, and below four of them that is taken for good
    #[arg(long, value_name = "auto|fixed|flips|any", default_value = "auto", hide_possible_values = true)]
    #[arg(value_parser = poses())]
    poses: Poses,

    /// A smaller and faster model
    #[arg(long, conflicts_with = "accurate")]
    small: bool,

    /// A model that sees smaller defects, and takes about four times the time
    #[arg(long)]
    accurate: bool,

    /// The largest file that the model may be, in MiB: it then has as many prototypes as fit, and less to compare with.
    /// On a device a model takes about twice its file
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    max_size: Option<u32>,

    /// The share of good parts that may fail: by default 0.05, with --more that of the model
    #[arg(long, value_name = "RATE", value_parser = crate::calibrate::rate)]
    false_alarm_rate: Option<f64>,
}

fn poses() -> impl TypedValueParser<Value = Poses> {
    PossibleValuesParser::new(Poses::ALL.map(Poses::name)).try_map(|name| Poses::by_name(&name))
}

impl TeachSettings {
    /// With these, the options for a seed.
    pub(crate) fn options(&self, seed: u64) -> TeachOptions {
        let mut options = TeachOptions::default();
        options.poses = self.poses;
        options.effort = match (self.small, self.accurate) {
            (true, _) => Effort::Small,
            (_, true) => Effort::Accurate,
            _ => Effort::Standard,
        };
        options.false_alarm_rate = self.false_alarm_rate.unwrap_or(options.false_alarm_rate);
        options.max_bytes = self.max_size.map(|mebibytes| u64::from(mebibytes) << 20);
        options.seed = seed;
        options
    }
}

impl Arguments {
    /// The model's file.
    fn out(&self) -> Result<&PathBuf> {
        self.out.as_ref().or(self.model.as_ref()).context("--out is missing")
    }

    /// The teacher, and how it wants its photographs read.
    fn teacher(&self, photographs: &[PathBuf]) -> Result<(Teacher, Decoder)> {
        if let Some(model) = &self.model {
            let model = Weights::open([model])?;
            let decoder = Decoder::default().with_range(ValueRange::from_metadata(&model.metadata())?);
            let engine = device::engine(&self.device)?;
            return Ok((block_on(Teacher::resume(&engine, &model, self.settings.false_alarm_rate))?, decoder));
        }
        let (backbone, mut options) = (shots::backbone(self.backbone.as_deref())?, self.settings.options(self.seed));
        options.range = shots::stated_range(self.range, photographs)?;
        let engine = device::engine(&self.device)?;
        Ok((block_on(Teacher::new(&engine, &backbone, options))?, Decoder::default().with_range(options.range)))
    }
}

/// The progress bar of teaching.
pub(crate) const BAR: &str = "{msg} {wide_bar} {pos}/{len}";

/// Runs `pcsnet teach`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let stop = Arc::default();
    interrupt::sets(&stop)?;
    let taught = output::with_bar(BAR, &stop, |monitor| teach(arguments, monitor))?;
    let mut text = describe(taught.summary())?;
    let (out, megabytes) = (arguments.out()?.display(), taught.bytes().len() as f64 / 1e6);
    writeln!(text, "Written to {out}, {megabytes:.1} MB, in {:.0} s", start.elapsed().as_secs_f64())?;
    output::print(&text)
}

/// Teaches a model and writes it into its file.
///
/// # Errors
/// Whatever keeps it from being made or written; the file then stays as it was.
pub fn teach(arguments: &Arguments, monitor: Monitor<'_>) -> Result<TaughtModel> {
    let out = arguments.out()?;
    // What can fail at once does so before the work.
    output::ensure_file_writable(out)?;
    let photographs = shots::find(&arguments.inputs, arguments.shots, arguments.seed)?;
    let (mut teacher, decoder) = arguments.teacher(&photographs)?;
    add(&mut teacher, &photographs, decoder, monitor)?;
    let taught = make(&teacher, monitor)?;
    taught.save(out)?;
    Ok(taught)
}

/// Makes a model of what a teacher was shown, unless it is to stop.
pub(crate) fn make(teacher: &Teacher, monitor: Monitor<'_>) -> Result<TaughtModel> {
    let tell = |progress: TeachProgress| {
        monitor.tell(progress.step, progress.done as usize, progress.total as usize);
    };
    let mut teaching = pin!(teacher.teach(tell));
    block_on(poll_fn(|context| match monitor.ensure_wanted() {
        Ok(()) => teaching.as_mut().poll(context).map_err(Into::into),
        Err(stopped) => Poll::Ready(Err(stopped)),
    }))
}

/// Shows a teacher these photographs, unless it is to stop.
pub(crate) fn add(
    teacher: &mut Teacher,
    photographs: &[PathBuf],
    decoder: Decoder,
    monitor: Monitor<'_>,
) -> Result<()> {
    for (done, path) in photographs.iter().enumerate() {
        monitor.ensure_wanted()?;
        monitor.tell("reading photographs", done, photographs.len());
        let Shot { name, sha256, photograph } = Shot::read(path, decoder)?;
        teacher.add_file(name, Some(sha256), &photograph)?;
    }
    Ok(())
}

fn describe(summary: &TeachSummary) -> Result<String> {
    let mut text = String::new();
    let new = if summary.added > 0 { format!(", {} of them new", summary.added) } else { String::new() };
    writeln!(text, "Taught from {} photographs{new}", summary.photographs)?;
    let lie = match summary.poses {
        PoseDecision { any: true, .. } => "at any angle",
        PoseDecision { flips: true, .. } => "as photographed, mirrored, upside down or turned by half",
        _ => "always as photographed",
    };
    let why = match summary.poses.nearer_when_turned {
        Some(share) => format!(
            ": turning one brought {:.0} % of the pairs of photographs nearer to one another (25 % decide)",
            100.0 * share
        ),
        None if summary.poses.assumed => ", for all that so few photographs can tell".to_owned(),
        None => String::new(),
    };
    writeln!(text, "Parts lie {lie}{why}")?;
    if let Some(spread) = summary.light.spread {
        let consequence = if summary.light.differs { ", so each is brought to one" } else { "" };
        writeln!(text, "Light differs by {:.0} % between them (10 % decide){consequence}", 100.0 * spread)?;
    }
    let prototypes: Vec<String> = summary.prototypes.iter().map(u32::to_string).collect();
    writeln!(text, "Prototypes of the backbone's levels: {}", prototypes.join(", "))?;
    if let (Some(threshold), Origin::Good { found, confidence, .. }) =
        (summary.calibrated.calibration.threshold, &summary.calibrated.origin)
    {
        let [low, high] = found.interval.map(|share| 100.0 * share);
        writeln!(
            text,
            "Threshold {threshold:.4}: {:.1} % of good parts are expected to fail, with {:.0} % confidence {low:.1} to \
             {high:.1} %",
            100.0 * found.rate,
            100.0 * confidence
        )?;
    }
    let PseudoDefects { tried, found } = summary.pseudo_defects;
    if tried > 0 {
        writeln!(text, "Of {tried} pseudo-defects on photographs held out, {found} would be found")?;
    }
    for warning in summary.warnings() {
        writeln!(text, "Note: {warning}")?;
    }
    Ok(text)
}
