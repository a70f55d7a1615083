//! `pcsnet bench`: how fast a model runs here.

use crate::device::{self, DeviceArguments};
use crate::info::describe_memory;
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use pcsnet::gpu::StepInfo;
use pcsnet::image::RgbImage;
use pcsnet::weights::Weights;
use pcsnet::{Engine, Memory, Model, Session, wgpu};
use pollster::block_on;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::iter;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

const NOTES: &str = "\
A run goes from host to host: pixels to the GPU, the network, maps and scores back. As many runs more are timed on the \
GPU alone, without the ways there and back. The stages are timed in a run of their own, each dispatch as a pass, where \
the adapter has timestamps. The first run of all, in which drivers compile the kernels, is told apart. The peak is \
that of the kernel's own large matrix product on this device.

Papers on fast inspection (EfficientAD, for one) state the mean of 1,000 runs at batch 1 after 1,000 that do not count:
--warm-up 1000 --runs 1000.

Examples:
  pcsnet bench --model weights/default.safetensors
  pcsnet bench --model bottle.safetensors --batch 8 --precision f16 --json
  pcsnet bench --model bottle.safetensors --in-flight 3";

/// Measure how long a model takes, run by run and stage by stage.
#[derive(Args)]
#[command(after_help = NOTES)]
pub(crate) struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    model: Vec<PathBuf>,

    #[command(flatten)]
    protocol: Protocol,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceArguments,
}

/// How a model is measured.
#[derive(Args)]
pub(crate) struct Protocol {
    /// Images in a run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// Runs that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,

    /// Runs before them that do not
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub warm_up: u32,

    /// Also measure the images a second with so many batches on their way at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub in_flight: Option<u32>,

    /// Also list every dispatch: how long it takes, what it computes, moves and waits for
    #[arg(long)]
    pub steps: bool,

    /// End the runs that count after so many seconds, even if there were fewer
    #[arg(long, value_name = "S", value_parser = output::seconds)]
    pub seconds: Option<Duration>,
}

/// What was measured. Times are milliseconds.
#[derive(Serialize)]
pub(crate) struct Report {
    adapter: String,
    backend: String,
    driver: String,
    pub precision: &'static str,
    pub batch: u32,
    /// How all 3 x 3 convolutions are computed; null where each has what suits its size.
    winograd: Option<String>,
    /// The time from the file to weights on the GPU.
    pub load_ms: f64,
    /// Session and first run: what a cold start takes after loading.
    pub first_ms: f64,
    pub median_ms: f64,
    pub mean_ms: f64,
    pub images_per_second: f64,
    pub in_flight: Option<InFlight>,
    runs_ms: Vec<f64>,
    /// The median without upload and read-back.
    pub gpu_median_ms: f64,
    gpu_runs_ms: Vec<f64>,
    /// Billions of multiply-adds in a run.
    pub gmacs: f64,
    /// Billions of multiply-adds a second of a large matrix product.
    peak_gmacs_per_second: f64,
    /// Share of the peak that a run on the GPU reaches.
    pub fraction_of_peak: f64,
    /// GPU memory in bytes: weights, activations, scratch, and io, the inputs and outputs.
    pub memory: Memory,
    /// Of the network, for as many images as run at once.
    pub dispatches: usize,
    /// Dispatches that wait for earlier ones.
    pub barriers: usize,
    /// What all dispatches read and write, each tensor once a dispatch.
    pub bytes_moved: u64,
    /// Every dispatch, if asked for.
    steps: Vec<Step>,
    /// GPU time of each part of the network, for as many images as run at once; empty without timestamps.
    pub stages: BTreeMap<String, f64>,
}

/// Several batches on their way at once.
#[derive(Serialize)]
pub(crate) struct InFlight {
    pub batches: u32,
    pub images_per_second: f64,
}

/// A dispatch.
#[derive(Serialize)]
pub(crate) struct Step {
    label: String,
    kernel: String,
    workgroups: [u32; 3],
    gmacs: f64,
    bytes_moved: u64,
    /// Whether it waits for earlier ones.
    waits: bool,
    /// GPU time in milliseconds as a pass of its own; null without timestamps.
    ms: Option<f64>,
}

/// Runs `pcsnet bench`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let weights = device::open_weights(&arguments.model)?;
    let engine = device::engine(&arguments.device.adapter)?;
    let peak = block_on(engine.peak_multiply_adds())?;
    let report = measure(&engine, &weights, &arguments.device, &arguments.protocol, peak)?;
    output::print(&if arguments.json { serde_json::to_string(&report)? + "\n" } else { table(&report)? })
}

/// Measures a model on a device whose own large product reaches `peak` multiply-adds a second.
pub(crate) fn measure(
    engine: &Engine,
    weights: &Weights,
    device: &DeviceArguments,
    protocol: &Protocol,
    peak: f64,
) -> Result<Report> {
    let batch = protocol.batch;
    let start = Instant::now();
    let model = block_on(engine.load(weights, device.load_options()))?;
    let load_ms = milliseconds(start.elapsed());
    let model = device::tuned(model, engine, weights, device, batch)?;
    let side = model.config().input;
    let images: Vec<RgbImage> = (0..batch).map(|seed| pattern(side, seed)).collect();
    let start = Instant::now();
    let session = block_on(model.session(batch)).context("cannot prepare the network")?;
    session.run_blocking(&images)?;
    let first_ms = milliseconds(start.elapsed());
    for _ in 0..protocol.warm_up {
        session.run_blocking(&images)?;
    }
    let runs_ms = times(protocol, || session.run_blocking(&images).map(drop))?;
    let gpu_runs_ms = times(protocol, || session.run_resident())?;
    let in_flight =
        protocol.in_flight.map(|batches| throughput(&model, &images, batches, runs_ms.len())).transpose()?;
    let steps = steps(&model, &session)?;
    let (median_ms, gpu_median_ms) = (median(&runs_ms), median(&gpu_runs_ms));
    let gmacs = session.work() as f64 / 1e9;
    let info = model.device().adapter_info();
    Ok(Report {
        adapter: info.name,
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        precision: device.precision.name(),
        winograd: device.winograd.map(|winograd| format!("{winograd:?}")),
        batch,
        load_ms,
        first_ms,
        median_ms,
        mean_ms: mean(&runs_ms),
        in_flight,
        images_per_second: f64::from(batch) * 1e3 / median_ms,
        runs_ms,
        gpu_median_ms,
        gpu_runs_ms,
        gmacs,
        peak_gmacs_per_second: peak / 1e9,
        fraction_of_peak: gmacs * 1e9 / (gpu_median_ms / 1e3) / peak,
        memory: session.memory(),
        dispatches: steps.len(),
        barriers: steps.iter().filter(|step| step.waits).count(),
        bytes_moved: steps.iter().map(|step| step.bytes_moved).sum(),
        stages: stages(&steps),
        steps: if protocol.steps { steps } else { Vec::new() },
    })
}

/// The time of each run.
fn times(protocol: &Protocol, mut run: impl FnMut() -> pcsnet::Result<()>) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut times = Vec::new();
    let is_time_over = || protocol.seconds.is_some_and(|limit| begin.elapsed() >= limit);
    while times.len() < protocol.runs as usize && (times.is_empty() || !is_time_over()) {
        let start = Instant::now();
        run()?;
        times.push(milliseconds(start.elapsed()));
    }
    Ok(times)
}

/// Images a second through as many sessions as batches are to be on their way, each with a thread that runs it again
/// and again.
fn throughput(model: &Model, images: &[RgbImage], batches: u32, runs: usize) -> Result<InFlight> {
    let open = |_| {
        let session = block_on(model.session(images.len() as u32)).context("cannot prepare another batch")?;
        session.run_blocking(images)?;
        Ok(session)
    };
    let sessions: Vec<Session> = (0..batches).map(open).collect::<Result<_>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let run = |session: &Session| (0..runs).try_for_each(|_| session.run_blocking(images).map(drop));
        let threads: Vec<_> = sessions.iter().map(|session| scope.spawn(move || run(session))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ends.collect::<pcsnet::Result<()>>()
    })?;
    let count = f64::from(batches) * (runs * images.len()) as f64;
    Ok(InFlight { batches, images_per_second: count / start.elapsed().as_secs_f64() })
}

/// A picture with detail everywhere; how long the network takes does not depend on what it sees.
fn pattern(side: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let mix = |a: u32, b: u32| ((x * a + y * b + x * y + 31 * seed) % 256) as u8;
        image::Rgb([mix(7, 3), mix(2, 11), mix(5, 13)])
    })
}

/// The dispatches of a session, timed where the device has timestamps.
fn steps(model: &Model, session: &Session) -> Result<Vec<Step>> {
    let has_timestamps = model.device().features().contains(wgpu::Features::TIMESTAMP_QUERY);
    let times = if has_timestamps { block_on(session.profile())? } else { Vec::new() };
    let times = times.into_iter().map(|(_, time)| Some(milliseconds(time))).chain(iter::repeat(None));
    let step = |(step, ms): (StepInfo, Option<f64>)| {
        let StepInfo { label, kernel, workgroups, operations, bytes, waits, .. } = step;
        Step { label, kernel, workgroups, gmacs: operations as f64 / 1e9, bytes_moved: bytes, waits, ms }
    };
    Ok(session.steps().into_iter().zip(times).map(step).collect())
}

/// Sums the steps' times by the first part of their labels, such as `backbone` or `decoder`.
fn stages(steps: &[Step]) -> BTreeMap<String, f64> {
    let mut stages = BTreeMap::new();
    for Step { label, ms, .. } in steps {
        if let Some(ms) = ms {
            let stage = label.split('.').next().unwrap_or_default().to_owned();
            *stages.entry(stage).or_default() += ms;
        }
    }
    stages
}

fn table(report: &Report) -> Result<String> {
    let mut text = String::new();
    let Report { adapter, backend, driver, precision, winograd, batch, stages, .. } = report;
    let convolutions = winograd.as_ref().map_or(String::new(), |winograd| format!("{winograd} convolutions, "));
    writeln!(text, "{adapter}, {backend}, {driver}")?;
    writeln!(text, "batch {batch}, {precision}, {convolutions}{} runs", report.runs_ms.len())?;
    let (load, first, rate) = (report.load_ms, report.first_ms, report.images_per_second);
    writeln!(text, "{load:.0} ms to load, {first:.0} ms to the first result")?;
    writeln!(text, "{}, host to host: {rate:.2} images per second", spread(&report.runs_ms))?;
    if let Some(InFlight { batches, images_per_second }) = &report.in_flight {
        writeln!(text, "{images_per_second:.2} images per second with {batches} batches on their way")?;
    }
    writeln!(text, "{}, GPU alone", spread(&report.gpu_runs_ms))?;
    let (gmacs, peak, share) = (report.gmacs, report.peak_gmacs_per_second, 100.0 * report.fraction_of_peak);
    writeln!(text, "{gmacs:.1} G multiply-adds: {share:.0} % of this kernel's peak of {peak:.1} G a second")?;
    writeln!(text, "{}", describe_memory(&report.memory))?;
    let (dispatches, barriers, moved) = (report.dispatches, report.barriers, report.bytes_moved as f64 / 1e6);
    writeln!(text, "{dispatches} dispatches, {barriers} wait for others, {moved:.1} MB moved")?;
    let total: f64 = stages.values().sum();
    for (stage, time) in stages {
        writeln!(text, "  {stage:<12} {time:>10.2} ms {:>5.1} %", 100.0 * time / total)?;
    }
    if !report.steps.is_empty() {
        writeln!(text, "{:<44} {:>16} {:>9} {:>10} {:>10}  kernel", "dispatch", "workgroups", "ms", "M madds", "kB")?;
    }
    for Step { label, kernel, workgroups: [x, y, z], gmacs, bytes_moved, waits, ms } in &report.steps {
        let (workgroups, operations) = (format!("{x} x {y} x {z}"), 1e3 * gmacs);
        let (kilobytes, barrier) = (*bytes_moved as f64 / 1e3, if *waits { "|" } else { " " });
        let time = ms.map_or(String::new(), |ms| format!("{ms:.3}"));
        let numbers = format!("{workgroups:>16} {time:>9} {operations:>10.2} {kilobytes:>10.1}");
        writeln!(text, "{barrier} {label:<42} {numbers}  {kernel}")?;
    }
    Ok(text)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Median, least, most and mean.
fn spread(times: &[f64]) -> String {
    let least = times.iter().copied().fold(f64::INFINITY, f64::min);
    let most = times.iter().copied().fold(0.0, f64::max);
    format!("{:.1} ms median ({least:.1} to {most:.1}), {:.1} mean", median(times), mean(times))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }
}
