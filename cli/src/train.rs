//! `pcsnet train`: a network trained by gradients on photographs of good parts.

use crate::device::{self, AdapterArguments};
use crate::interrupt;
use crate::output;
use crate::shots::{self, Shot};
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::Engine;
use pcsnet::config::DescriptorKind;
use pcsnet::image::{Decoder, Fit, ValueRange};
use pcsnet::train::{Category, Losses, Recipe, TrainOptions, Trainer, Training};
use pcsnet::weights::Weights;
use pollster::block_on;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const NOTES: &str = "\
A folder gives the photographs in it; of a test set in MVTec AD's layout they are those in train/good. Descriptor and \
decoder of PCSNet are trained on them and on copies with pseudo-anomalies; the backbone stays as it is. `pcsnet teach` \
makes a model without gradients, in a fraction of the time.

After each epoch the state is kept in a file beside the model's, so that a run that Ctrl-C or kill ended goes on from \
there, to the same bits. The model has no threshold yet: `pcsnet calibrate --model FILE GOOD` finds one.

Examples:
  pcsnet train good/ --out part.safetensors
  pcsnet train mvtec/tile --shots 8 --seed 1 --fit stretch --grid 32 --out tile.safetensors";

/// Train PCSNet on a handful of photographs of good parts.
#[derive(Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// Photographs of good parts, folders of them, or a test set
    #[arg(value_name = "GOOD", required = true)]
    inputs: Vec<PathBuf>,

    /// The model's file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Take only so many of the photographs, drawn at random
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..))]
    shots: u32,

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

    /// How to train: `held-out` is ours, `paper` the paper's, `authors` that with a loss as the authors' code has it
    #[arg(long, value_name = "held-out|paper|authors", default_value = Recipe::HELD_OUT.name)]
    #[arg(value_parser = recipe(), hide_possible_values = true)]
    recipe: Recipe,

    /// A category of MVTec AD or MPDD, whose pseudo-anomalies and descriptor the recipes `paper` and `authors` take
    #[arg(long, value_name = "NAME", value_parser = Category::by_name)]
    category: Option<Category>,

    /// Begin anew, whatever an interrupted run has left
    #[arg(long)]
    restart: bool,

    #[command(flatten)]
    settings: TrainSettings,

    #[command(flatten)]
    device: AdapterArguments,
}

/// How a network is trained, whatever the recipe.
#[derive(Args, Debug)]
pub(crate) struct TrainSettings {
    /// How a photograph becomes square: `crop` its middle or `stretch` it whole
    #[arg(long, value_name = "crop|stretch", default_value = "crop", hide_possible_values = true)]
    #[arg(value_parser = crate::framing::fit())]
    fit: Fit,

    /// The descriptor: `plain`, or `rotation` with a squeeze of features before it, which is the paper's for parts that
    /// lie at any angle; by default what the recipe takes for the category
    #[arg(long, value_name = "plain|rotation", hide_possible_values = true, value_parser = descriptor())]
    descriptor: Option<DescriptorKind>,

    /// Epochs; by default the recipe's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,

    /// Photographs of a step; as many copies with pseudo-anomalies are added
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(2..))]
    batch: u32,

    /// Side of the grid of positions, by default 64; prototypes follow, and a coarser one is faster
    #[arg(long, value_name = "SIDE")]
    grid: Option<u32>,

    /// Distances to prototypes that are kept for each position, by default 200
    #[arg(long, value_name = "K")]
    nearest: Option<u32>,

    /// Channels of the decoder, by default half of the features'
    #[arg(long, value_name = "W")]
    width: Option<u32>,
}

fn recipe() -> impl TypedValueParser<Value = Recipe> {
    PossibleValuesParser::new(Recipe::ALL.map(|recipe| recipe.name)).try_map(|name| Recipe::by_name(&name))
}

fn descriptor() -> impl TypedValueParser<Value = DescriptorKind> {
    let names = DescriptorKind::ALL.map(DescriptorKind::name);
    PossibleValuesParser::new(names).try_map(|name| DescriptorKind::by_name(&name))
}

/// What is set, in a few words.
impl fmt::Display for TrainSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fit, descriptor, epochs, batch, grid, nearest, width } = self;
        write!(f, "fit {}, batch {batch}", fit.name())?;
        if let Some(descriptor) = descriptor {
            write!(f, ", descriptor {}", descriptor.name())?;
        }
        let others = [("epochs", epochs), ("grid", grid), ("nearest", nearest), ("width", width)];
        others.iter().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, ", {name} {value}"),
            None => Ok(()),
        })
    }
}

impl TrainSettings {
    /// With these, the options of a recipe, a category's pseudo-anomalies and a seed.
    pub(crate) fn options(&self, recipe: Recipe, category: Category, seed: u64) -> TrainOptions {
        let mut options = TrainOptions::default();
        (options.recipe, options.category, options.seed) = (recipe, category, seed);
        (options.epochs, options.batch, options.fit) = (self.epochs, self.batch, self.fit);
        options.descriptor = self.descriptor.unwrap_or_else(|| recipe.descriptor(&category));
        (options.grid, options.nearest, options.width) = (self.grid, self.nearest, self.width);
        options
    }
}

/// Runs `pcsnet train`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let photographs = shots::find(&arguments.inputs, Some(arguments.shots), arguments.seed)?;
    let backbone = shots::backbone(arguments.backbone.as_deref())?;
    // Found out before any time is spent.
    output::ensure_file_writable(&arguments.out)?;
    let engine = device::engine(&arguments.device)?;
    let category = arguments.category.unwrap_or(Category::OTHER);
    let mut options = arguments.settings.options(arguments.recipe, category, arguments.seed);
    options.range = shots::stated_range(arguments.range, &photographs)?;
    let checkpoint = checkpoint_of(&arguments.out);
    if arguments.restart {
        remove(&checkpoint)?;
    }
    let stop = Arc::default();
    interrupt::sets(&stop)?;
    let training = start_on(&engine, &backbone, options, &photographs)?;
    let training = train(training, &checkpoint, &stop, |_| Ok(()))?;
    block_on(training.model())?.save(&arguments.out)?;
    remove(&checkpoint)?;
    let seconds = start.elapsed().as_secs_f64();
    output::print(&format!(
        "Trained on {} photographs, written to {} in {seconds:.0} s\n",
        photographs.len(),
        arguments.out.display()
    ))
}

/// A training on these photographs, before its first step.
pub(crate) fn start_on(
    engine: &Engine,
    backbone: &Weights,
    options: TrainOptions,
    photographs: &[PathBuf],
) -> Result<Training> {
    let decoder = Decoder::default().with_range(options.range);
    let mut trainer = block_on(Trainer::new(engine, backbone, options))?;
    for path in photographs {
        let Shot { name, sha256, photograph } = Shot::read(path, decoder)?;
        trainer.add(name, Some(sha256), &photograph)?;
    }
    Ok(block_on(trainer.start())?)
}

/// Removes a file that may be there.
pub(crate) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// The file that keeps the state of a run.
pub(crate) fn checkpoint_of(out: &Path) -> PathBuf {
    let mut name = out.as_os_str().to_owned();
    name.push(".checkpoint");
    name.into()
}

/// Goes on from what an interrupted run has left.
fn resume(training: &mut Training, checkpoint: &Path) -> Result<()> {
    let bytes = match fs::read(checkpoint) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", checkpoint.display())),
    };
    let name = checkpoint.display().to_string();
    block_on(training.resume(&name, bytes)).context("--restart begins anew")?;
    eprintln!("going on after epoch {} of {name}", training.epoch());
    Ok(())
}

/// Trains to the end, from where an interrupted run has left its state, and keeps the state after each epoch. It ends
/// with an error where `stop` is set.
pub(crate) fn train(
    mut training: Training,
    checkpoint: &Path,
    stop: &AtomicBool,
    mut after_epoch: impl FnMut(&Training) -> Result<()>,
) -> Result<Training> {
    resume(&mut training, checkpoint)?;
    let (steps, epochs) = (training.steps_of_an_epoch(), training.epochs());
    let bar = output::progress_bar("{msg} {wide_bar} {pos}/{len}", (epochs * steps) as usize, "training".to_owned());
    while !training.is_done() {
        let before = u64::from(training.epoch() * steps);
        bar.set_position(before);
        let start = Instant::now();
        let epoch = training.run_epoch(|done| bar.set_position(before + u64::from(done)));
        let Some(losses) = block_on(interrupt::unless(stop, epoch)) else {
            bar.finish_and_clear();
            match training.epoch() {
                0 => bail!("stopped in the first epoch; start it again to begin anew"),
                epoch => bail!("stopped; start it again to go on after epoch {epoch}"),
            }
        };
        let losses = losses?;
        after_epoch(&training)?;
        let bytes = block_on(training.checkpoint())?;
        output::write(checkpoint, |file| Ok(file.write_all(&bytes)?))?;
        let Losses { nfc, afs, pdc, seg } = losses;
        let seconds = start.elapsed().as_secs_f64();
        bar.suspend(|| {
            output::print(&format!(
                "epoch {:3}  NFC {nfc:.4}  AFS {afs:.4}  PDC {pdc:.4}  SEG {seg:.4}  ({seconds:.1} s)\n",
                training.epoch()
            ))
        })?;
    }
    bar.finish_and_clear();
    Ok(training)
}
