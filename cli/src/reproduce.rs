//! `pcsnet reproduce`: the paper's experiment, with any way to make a model.

mod paper;
mod runs;
mod table;

use crate::device::{self, DeviceArguments};
use crate::evaluate::{self, Candidate, Measured};
use crate::framing::FramingArguments;
use crate::interrupt;
use crate::monitor::Monitor;
use crate::output;
use crate::shots;
use crate::{teach, train};
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use pcsnet::data::{self, Dataset};
use pcsnet::image::Decoder;
use pcsnet::teach::{Baseline, Teacher};
use pcsnet::train::{Category, Recipe, Training};
use pcsnet::weights::Weights;
use pcsnet::{Engine, Error};
use pollster::block_on;
use runs::{Draw, Runs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const NOTES: &str = "\
FOLDER is a test set with photographs of good parts to draw shots from, as in MVTec AD and MPDD (train/good), or a \
folder of such sets. For each set, number of shots, seed and method a model is made and measured on the set's test \
images, as `pcsnet teach` or `train` and `pcsnet evaluate` do it; the table has mean and standard deviation over the \
seeds, and beside them what the paper's authors report (WideResNet-50-2, the best epoch on the test images).

Methods:
  teach     `pcsnet teach`
  held-out  `pcsnet train --recipe held-out`
  paper     `pcsnet train --recipe paper`, with the pseudo-anomalies and descriptor that the authors give the set
  authors   the same with `--recipe authors`
  means     the distance to the nearest of the shots' mean features at each position, a baseline
  patches   the distance to the nearest of as many single features, drawn at random, a baseline

Written to the output folder, where a run that was stopped goes on when it is started again:
  runs.jsonl  a line for each model that was measured, with --every-epoch for each epoch's
  table.md    the table
  models/     the models, by settings

Examples:
  pcsnet reproduce mvtec --backbone wide_resnet50_2.safetensors
  pcsnet reproduce mvtec/screw --shots 8 --method teach,patches
  pcsnet reproduce mvtec --method paper --every-epoch --backbone wide_resnet50_2.safetensors";

/// Make and measure models for all sets of a folder, several draws each, beside the paper's figures.
#[derive(Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// A test set with photographs of good parts, or a folder of such sets
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Only these sets of the folder
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    category: Vec<String>,

    /// How models are made
    #[arg(long, value_name = "METHOD", value_enum, value_delimiter = ',', default_value = "teach")]
    method: Vec<Method>,

    /// How many photographs of good parts a model is made from
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "2,4,8")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    shots: Vec<u32>,

    /// What is drawn at random, once for each
    #[arg(long, value_name = "S", value_delimiter = ',', default_value = "0,1,2")]
    seeds: Vec<u64>,

    /// ImageNet weights, as of `pcsnet teach`
    #[arg(long, value_name = "FILE")]
    backbone: Option<PathBuf>,

    /// Of networks that are trained, measure every epoch: the authors report the best on the test images
    #[arg(long)]
    every_epoch: bool,

    /// The folder for everything that is written; it is made if missing
    #[arg(long, value_name = "FOLDER", default_value = "pcsnet-reproduction")]
    out: PathBuf,

    #[command(flatten, next_help_heading = "Teaching")]
    teach: teach::TeachSettings,

    #[command(flatten, next_help_heading = "Training")]
    train: train::TrainSettings,

    #[command(flatten)]
    device: DeviceArguments,
}

/// How a model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    Teach,
    HeldOut,
    Paper,
    Authors,
    Means,
    Patches,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Teach => "teach",
            Self::HeldOut => "held-out",
            Self::Paper => "paper",
            Self::Authors => "authors",
            Self::Means => "means",
            Self::Patches => "patches",
        }
    }
}

/// Runs `pcsnet reproduce` and gives the exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<u8> {
    let sets = sets(&arguments.folder, &arguments.category)?;
    let backbone = shots::backbone(arguments.backbone.as_deref())?;
    output::ensure_writable(&arguments.out)?;
    let mut runs = Runs::open(&arguments.out.join("runs.jsonl"))?;
    let engine = device::engine(&arguments.device.adapter)?;
    let stop = Arc::default();
    interrupt::sets(&stop)?;
    let laboratory = Laboratory { arguments, engine, backbone, stop };
    let tasks = laboratory.tasks(&sets);
    let mut is_whole = true;
    for task in &tasks {
        if runs.is_done(&task.draw) {
            continue;
        }
        ensure!(!laboratory.stop.load(Ordering::Relaxed), "stopped; start it again to go on");
        match laboratory.run(task, &mut runs) {
            // Nothing that follows would end otherwise.
            Err(error) if matches!(error.downcast_ref(), Some(Error::DeviceLost(_))) => return Err(error),
            Err(error) if laboratory.stop.load(Ordering::Relaxed) => return Err(error),
            Err(error) => {
                is_whole = false;
                output::complain(&format!("failed: {}: {}", task.draw, crate::one_line(&error)));
            }
            Ok(()) => {}
        }
        let table = table::markdown(tasks.iter().map(|task| &task.draw), &runs);
        output::write(&arguments.out.join("table.md"), |file| Ok(file.write_all(table.as_bytes())?))?;
    }
    output::print(&table::markdown(tasks.iter().map(|task| &task.draw), &runs))?;
    output::print(&format!("\nWritten to {}\n", arguments.out.display()))?;
    Ok(if is_whole { crate::DONE } else { crate::SOME_UNDONE })
}

/// Photographs to draw from and to measure with.
struct TestSet {
    folder: PathBuf,
    set: Dataset,
}

/// The folder's test set, or the test sets in it.
fn sets(folder: &Path, names: &[String]) -> Result<Vec<TestSet>> {
    let folders = match names {
        [] if Dataset::open(folder).is_ok() => vec![folder.to_owned()],
        [] => data::categories(folder)?,
        names => names.iter().map(|name| folder.join(name)).collect(),
    };
    let open = |folder: PathBuf| Ok(TestSet { set: Dataset::open(&folder)?, folder });
    let sets = folders.into_iter().map(open).collect::<Result<Vec<_>>>()?;
    ensure!(!sets.is_empty(), "there is no test set in {}", folder.display());
    Ok(sets)
}

/// A model that is to be made and measured.
struct Task<'a> {
    test: &'a TestSet,
    method: Method,
    draw: Draw,
}

impl Task<'_> {
    /// The photographs that the model is made from.
    fn photographs(&self) -> Result<Vec<PathBuf>> {
        shots::find(std::slice::from_ref(&self.test.folder), Some(self.draw.shots), self.draw.seed)
    }
}

/// What all models of an experiment have in common.
struct Laboratory<'a> {
    arguments: &'a Arguments,
    engine: Engine,
    backbone: Weights,
    /// Set by Ctrl-C.
    stop: Arc<AtomicBool>,
}

impl Laboratory<'_> {
    /// All that is to be done, set by set.
    fn tasks<'s>(&self, sets: &'s [TestSet]) -> Vec<Task<'s>> {
        let Arguments { method, shots, seeds, .. } = self.arguments;
        let mut tasks = Vec::new();
        for test in sets {
            for &method in method {
                for &shots in shots {
                    for &seed in seeds {
                        let (category, settings) = (test.set.name.clone(), self.settings(method));
                        let draw = Draw { category, method: method.name().to_owned(), settings, shots, seed };
                        tasks.push(Task { test, method, draw });
                    }
                }
            }
        }
        tasks
    }

    /// What a method's models depend on beside the photographs, in words by which runs and their files are told apart.
    fn settings(&self, method: Method) -> String {
        let backbone = match &self.arguments.backbone {
            Some(file) => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            None => "built-in backbone".to_owned(),
        };
        match method {
            Method::Teach | Method::Means | Method::Patches => {
                let options = self.arguments.teach.options(0);
                let size = options.max_bytes.map_or(String::new(), |bytes| format!(", at most {} MiB", bytes >> 20));
                format!("{backbone}, {}{size}, poses {}", options.effort.name(), options.poses.name())
            }
            Method::HeldOut | Method::Paper | Method::Authors => format!("{backbone}, {}", self.arguments.train),
        }
    }

    /// Makes a model and measures it.
    fn run(&self, task: &Task<'_>, runs: &mut Runs) -> Result<()> {
        let weights = match task.method {
            Method::Teach => {
                let taught = self.behind_bar(|monitor| teach::make(&self.teacher(task, monitor)?, monitor))?;
                taught.save(self.model_file(task)?)?;
                taught.weights()?
            }
            Method::Means => self.baseline(task, Baseline::Means)?,
            Method::Patches => self.baseline(task, Baseline::Patches)?,
            Method::HeldOut => return self.train(task, Recipe::HELD_OUT, runs),
            Method::Paper => return self.train(task, Recipe::PAPER, runs),
            Method::Authors => return self.train(task, Recipe::AUTHORS, runs),
        };
        runs.add(&task.draw, None, &self.measure(&weights, task)?)
    }

    fn baseline(&self, task: &Task<'_>, baseline: Baseline) -> Result<Weights> {
        let teacher = self.behind_bar(|monitor| self.teacher(task, monitor))?;
        Ok(block_on(teacher.baseline(baseline))?)
    }

    /// Does a piece of teaching behind a progress bar, unless it is to stop.
    fn behind_bar<T>(&self, work: impl FnOnce(Monitor<'_>) -> Result<T>) -> Result<T> {
        output::with_bar(teach::BAR, &self.stop, work)
    }

    fn teacher(&self, task: &Task<'_>, monitor: Monitor<'_>) -> Result<Teacher> {
        let photographs = task.photographs()?;
        let mut options = self.arguments.teach.options(task.draw.seed);
        options.range = shots::range_of(&photographs)?;
        let mut teacher = block_on(Teacher::new(&self.engine, &self.backbone, options))?;
        teach::add(&mut teacher, &photographs, Decoder::default().with_range(options.range), monitor)?;
        Ok(teacher)
    }

    fn train(&self, task: &Task<'_>, recipe: Recipe, runs: &mut Runs) -> Result<()> {
        let category = Category::by_name(&task.draw.category).unwrap_or(Category::OTHER);
        let photographs = task.photographs()?;
        let mut options = self.arguments.train.options(recipe, category, task.draw.seed);
        options.range = shots::range_of(&photographs)?;
        let file = self.model_file(task)?;
        let checkpoint = train::checkpoint_of(&file);
        let start = train::start_on(&self.engine, &self.backbone, options, &photographs)?;
        let measure_epoch = |training: &Training| -> Result<()> {
            if !self.arguments.every_epoch || training.is_done() {
                return Ok(());
            }
            let weights = block_on(training.model())?.weights()?;
            runs.add(&task.draw, Some(training.epoch()), &self.measure(&weights, task)?)
        };
        let training = train::train(start, &checkpoint, &self.stop, measure_epoch)?;
        let model = block_on(training.model())?;
        model.save(&file)?;
        runs.add(&task.draw, None, &self.measure(&model.weights()?, task)?)?;
        train::remove(&checkpoint)
    }

    fn measure(&self, weights: &Weights, task: &Task<'_>) -> Result<Measured> {
        let framing = FramingArguments::default();
        let candidate = Candidate::new(&self.engine, weights, &framing, &self.arguments.device)?;
        let Draw { method, shots, seed, .. } = &task.draw;
        let name = format!("{method}, {shots} shots, seed {seed}");
        output::with_bar(evaluate::BAR, &self.stop, |monitor| candidate.measure(&name, &task.test.set, None, monitor))
            .with_context(|| format!("cannot measure {}", task.draw))
    }

    /// The file of a model, in a folder for its settings.
    fn model_file(&self, task: &Task<'_>) -> Result<PathBuf> {
        let Draw { category, method, settings, shots, seed } = &task.draw;
        let folder = self.arguments.out.join("models").join(settings);
        output::ensure_writable(&folder)?;
        Ok(folder.join(format!("{category}-{method}-{shots}-{seed}.safetensors")))
    }
}
