//! `pcsnet report`: what a graphics card does with the network, measured in some minutes and written to files.

use crate::bench::{self, Protocol};
use crate::device::{self, AdapterArguments, DeviceArguments};
use crate::{info, one_line, output};
use anyhow::{Context, Result, ensure};
use clap::Args;
use pcsnet::config::{BackboneConfig, DescriptorKind};
use pcsnet::weights::{NamedTensor, Role, Stored, Weights, serialize};
use pcsnet::{Engine, KernelCheck, ModelConfig, Precision, schema};
use pollster::block_on;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const NOTES: &str = "\
Needs no network and no files: the default model is part of the command, and one of the authors' size \
(WideResNet-50-2) gets random weights, which take as long as trained ones. Every kernel is tested first, then both \
models are measured in every precision at batches of 1 to 32, as `pcsnet bench` does. What the time does not suffice \
for is named. Where a Python has PyTorch with CUDA and this project's pcsnet_torch, --pytorch times that on the same \
card, in turn with this command.

Examples:
  pcsnet report
  pcsnet report --adapter nvidia --minutes 20 --out rtx-4090 --matrix-units
  pcsnet report --pytorch python3
  pcsnet report --model bottle.safetensors";

/// Measure everything about this machine's graphics adapter, into report.md and report.json.
#[derive(Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// Folder for the report
    #[arg(long, value_name = "DIR", default_value = "pcsnet-report")]
    out: PathBuf,

    /// Measure this model (a bundle, or the backbone's and the head's safetensors), rather than the two
    #[arg(long, value_name = "FILE", num_args = 1..)]
    model: Vec<PathBuf>,

    /// Begin no further measurement after so many minutes; those of PyTorch come after
    #[arg(long, value_name = "M", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,

    /// For how many seconds each measurement's runs are repeated
    #[arg(long, value_name = "S", default_value = "2", value_parser = output::seconds)]
    seconds: Duration,

    /// Also time the full-size network in PyTorch on CUDA, by this Python, in turn with this command
    #[arg(long, value_name = "PYTHON")]
    pytorch: Option<PathBuf>,

    #[command(flatten)]
    adapter: AdapterArguments,
}

/// The report as JSON.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    adapter: String,
    self_test: SelfTest,
    /// Billions of multiply-adds a second of a large f32 product.
    peak_gmacs_per_second: f64,
    measurements: Vec<Measurement>,
    /// The full-size network in PyTorch and on this command, in turn; empty where that was not measured.
    in_turn: Vec<Timed>,
    left_out: Vec<String>,
    /// For how long each measurement's runs were repeated.
    seconds_each: f64,
    /// Which kernels were the fastest for each layer; null where that was not measured.
    tuning: serde_json::Value,
    seconds: f64,
}

#[derive(Serialize)]
struct SelfTest {
    right: usize,
    wrong: Vec<String>,
}

#[derive(Serialize)]
struct Measurement {
    model: &'static str,
    #[serde(flatten)]
    bench: bench::Report,
}

/// What `pcsnet_torch time` measured of one engine.
#[derive(Serialize, Deserialize)]
struct Timed {
    engine: String,
    batch: u32,
    median_ms: f64,
    runs_ms: Vec<f64>,
}

/// Runs `pcsnet report`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    output::ensure_writable(&arguments.out)?;
    let models = match arguments.model.as_slice() {
        [] => vec![("default", Weights::built_in()?), ("full size", full_size()?)],
        files => vec![("model", device::open_weights(files)?)],
    };
    let mut adapter = String::new();
    info::describe_adapter(&mut adapter, &device::adapter(&arguments.adapter)?)?;
    let engine = device::engine(&arguments.adapter)?;
    output::complain("testing every kernel");
    let self_test = self_test(&engine)?;
    let peak = block_on(engine.peak_multiply_adds())?;
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        adapter,
        self_test,
        peak_gmacs_per_second: peak / 1e9,
        measurements: Vec::new(),
        in_turn: Vec::new(),
        left_out: Vec::new(),
        seconds_each: arguments.seconds.as_secs_f64(),
        tuning: serde_json::Value::Null,
        seconds: 0.0,
    };
    let deadline = start + Duration::from_secs(60 * arguments.minutes);
    measure(&mut report, &engine, &models, arguments, deadline);
    if let Some(python) = &arguments.pytorch {
        output::complain("measuring the full size in PyTorch, in turn");
        match in_turn(python, arguments) {
            Ok(timed) => report.in_turn = timed,
            Err(error) => report.left_out.push(format!("PyTorch: {}", one_line(&error))),
        }
    }
    if !arguments.adapter.no_tuning {
        report.tuning = serde_json::from_str(&engine.tuning().to_json())?;
    }
    report.seconds = start.elapsed().as_secs_f64();
    let markdown = markdown(&report)?;
    let json = serde_json::to_string_pretty(&report)?;
    for (name, text) in [("report.json", &json), ("report.md", &markdown)] {
        output::write(&arguments.out.join(name), |file| Ok(file.write_all(text.as_bytes())?))?;
    }
    output::print(&markdown)
}

fn self_test(engine: &Engine) -> Result<SelfTest> {
    let checks = block_on(engine.probe())?;
    let describe = |check: &KernelCheck| {
        let failure = check.failure.as_deref().unwrap_or_default();
        format!("{} ({}): {failure}", check.operation, check.kernels.join(", "))
    };
    let wrong: Vec<String> = checks.iter().filter(|check| !check.passed()).map(describe).collect();
    Ok(SelfTest { right: checks.len() - wrong.len(), wrong })
}

/// PyTorch and this command in turn, at the batches worth comparing.
fn in_turn(python: &Path, arguments: &Arguments) -> Result<Vec<Timed>> {
    let model = arguments.out.join("full-size.safetensors");
    output::write(&model, |file| Ok(file.write_all(&full_size_file()?)?))?;
    let mut command = Command::new(python);
    command
        .args(["-m", "pcsnet_torch", "time", "--device", "cuda", "--json", "--batch", "1", "8", "--model"])
        .arg(&model);
    command.arg("--seconds").arg(arguments.seconds.as_secs_f64().to_string());
    command.args(["--way", "eager", "eager, TF32", "channels last, TF32", "channels last, f16"]);
    command.arg("compiled, channels last, f16");
    command.arg("--pcsnet").arg(std::env::current_exe()?).args(["--precision", "f32", "f16-activations"]);
    if arguments.adapter.matrix_units {
        command.arg("--matrix-units");
    }
    let done = command.output().with_context(|| format!("cannot start {}", python.display()));
    // Half a gigabyte that nobody wants to keep.
    std::fs::remove_file(&model)?;
    let done = done?;
    let last = |text: &[u8]| String::from_utf8_lossy(text).trim().lines().last().unwrap_or_default().to_owned();
    ensure!(done.status.success(), "{}: {}", python.display(), last(&done.stderr));
    serde_json::from_slice(&done.stdout).with_context(|| format!("{} gave no measurements", python.display()))
}

/// Batches in the order in which they are worth knowing: the first ones first for all models and precisions.
const BATCHES: [u32; 6] = [1, 8, 32, 2, 4, 16];

/// Adds what can be measured until the deadline to the report. A failure, such as too little memory for a large batch,
/// is told in the report, too.
fn measure(
    report: &mut Report,
    engine: &Engine,
    models: &[(&'static str, Weights)],
    arguments: &Arguments,
    deadline: Instant,
) {
    let peak = 1e9 * report.peak_gmacs_per_second;
    for batch in BATCHES {
        for &(model, ref weights) in models {
            for precision in Precision::ALL {
                let what = format!("{model}, {}, batch {batch}", precision.name());
                if Instant::now() >= deadline {
                    report.left_out.push(format!("{what}: no time was left"));
                    continue;
                }
                output::complain(&format!("measuring {what}"));
                let device = DeviceArguments::of(arguments.adapter.clone(), precision);
                let in_flight = (batch == 1).then_some(3);
                let seconds = Some(arguments.seconds);
                let protocol = Protocol { batch, runs: 1000, warm_up: 3, in_flight, steps: batch == 1, seconds };
                match bench::measure(engine, weights, &device, &protocol, peak) {
                    Ok(bench) => report.measurements.push(Measurement { model, bench }),
                    Err(error) => report.left_out.push(format!("{what}: {}", one_line(&error))),
                }
            }
        }
    }
    let order = |found: &Measurement| {
        let model = models.iter().position(|(name, _)| *name == found.model);
        let precision = Precision::ALL.iter().position(|precision| precision.name() == found.bench.precision);
        (model, precision, found.bench.batch)
    };
    report.measurements.sort_by_key(order);
}

/// A model of the authors' size with random weights that keep activations alive through all layers.
fn full_size() -> Result<Weights> {
    Ok(Weights::from_bytes("random weights", full_size_file()?)?)
}

/// Its file.
fn full_size_file() -> Result<Vec<u8>> {
    let config = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
    let schema = schema::model(&config);
    // Marsaglia's xorshift ("Xorshift RNGs", 2003): any spread of numbers will do.
    let mut state = 0x9e37_79b9_u32;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    let values = schema.tensors().iter().map(|tensor| {
        let (count, inputs): (usize, usize) = (tensor.shape.iter().product(), tensor.shape.iter().skip(1).product());
        let (mean, spread) = match tensor.role {
            // He et al., "Delving Deep into Rectifiers", 2015.
            Role::Weight => (0.0, (6.0 / inputs as f32).sqrt()),
            Role::NormScale | Role::NormVariance => (1.0, 0.1),
            Role::Prototypes => (0.3, 1.0),
            _ => (0.0, 0.1),
        };
        (0..count).map(|_| mean + spread * uniform()).collect::<Vec<f32>>()
    });
    let values: Vec<_> = values.collect();
    let named = schema.tensors().iter().zip(&values).map(|(tensor, values)| NamedTensor {
        name: &tensor.name,
        shape: &tensor.shape,
        values,
        stored: Stored::F32,
    });
    let metadata = [("pcsnet.config".to_owned(), serde_json::to_string(&config)?)].into();
    Ok(serialize(&named.collect::<Vec<_>>(), &metadata)?)
}

fn markdown(report: &Report) -> Result<String> {
    let mut text = String::new();
    writeln!(text, "# PCSNet on a graphics adapter\n\npcsnet {}\n\n```\n{}```\n", report.version, report.adapter)?;
    let SelfTest { right, wrong } = &report.self_test;
    writeln!(text, "{right} of {} known answers of kernels right.", right + wrong.len())?;
    for failure in wrong {
        writeln!(text, "* WRONG: {failure}")?;
    }
    writeln!(text, "\nA large f32 product: {:.1} G multiply-adds a second.\n", report.peak_gmacs_per_second)?;
    writeln!(
        text,
        "Times are milliseconds of a run, host to host (pixels in, maps and scores out) and on the GPU alone, of as \
         many runs as {} seconds hold, 1,000 at most, after 3 that do not count.\n",
        report.seconds_each
    )?;
    let head = "| model | precision | batch | median | mean | images a second | 3 batches on their way | GPU alone | \
                of the product's peak | memory, MiB | first run | dispatches | waiting | MB moved |";
    writeln!(text, "{head}\n| --- | --- |{}", " ---: |".repeat(12))?;
    for Measurement { model, bench } in &report.measurements {
        let in_flight = bench.in_flight.as_ref();
        let in_flight = in_flight.map_or(String::new(), |found| format!("{:.1}", found.images_per_second));
        let share = 100.0 * bench.fraction_of_peak;
        let (memory, moved) = (bench.memory.total() >> 20, bench.bytes_moved as f64 / 1e6);
        writeln!(
            text,
            "| {model} | {} | {} | {:.2} | {:.2} | {:.1} | {in_flight} | {:.2} | {share:.0} % | {memory} | {:.0} | \
             {} | {} | {moved:.1} |",
            bench.precision,
            bench.batch,
            bench.median_ms,
            bench.mean_ms,
            bench.images_per_second,
            bench.gpu_median_ms,
            bench.first_ms,
            bench.dispatches,
            bench.barriers,
        )?;
    }
    stages(&mut text, report)?;
    in_turn_table(&mut text, &report.in_turn)?;
    if !report.left_out.is_empty() {
        writeln!(text, "\n## Left out\n")?;
    }
    for what in &report.left_out {
        writeln!(text, "* {what}")?;
    }
    writeln!(text, "\nMeasured in {:.0} seconds.", report.seconds)?;
    Ok(text)
}

fn in_turn_table(text: &mut String, timed: &[Timed]) -> Result<()> {
    if timed.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n## Full size in turn with PyTorch on the same card, host to host\n")?;
    writeln!(text, "| batch | engine | median, ms | least to most, ms | runs | images a second |")?;
    writeln!(text, "| ---: | --- | ---: | ---: | ---: | ---: |")?;
    for Timed { engine, batch, median_ms, runs_ms } in timed {
        let least = runs_ms.iter().copied().fold(f64::INFINITY, f64::min);
        let most = runs_ms.iter().copied().fold(0.0, f64::max);
        let rate = 1e3 * f64::from(*batch) / median_ms;
        let runs = runs_ms.len();
        writeln!(text, "| {batch} | {engine} | {median_ms:.2} | {least:.2} to {most:.2} | {runs} | {rate:.1} |")?;
    }
    Ok(())
}

/// GPU time of each part of the network at batch 1, where the adapter has timestamps.
fn stages(text: &mut String, report: &Report) -> Result<()> {
    let timed = |found: &&Measurement| found.bench.batch == 1 && !found.bench.stages.is_empty();
    for (index, Measurement { model, bench }) in report.measurements.iter().filter(timed).enumerate() {
        if index == 0 {
            writeln!(text, "\n## Milliseconds by stage, batch 1, each dispatch as a pass\n")?;
        }
        let stages = bench.stages.iter().map(|(stage, time)| format!("{stage} {time:.3}"));
        writeln!(text, "* {model}, {}: {}", bench.precision, stages.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}
