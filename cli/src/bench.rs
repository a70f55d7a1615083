//! `pcsnet bench`: how fast a model runs here.

use crate::device::{self, DeviceArguments};
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use pcsnet::image::RgbImage;
use pcsnet::{Model, Precision, Session, wgpu};
use pollster::block_on;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const NOTES: &str = "\
A run goes from host to host: pixels to the GPU, the network, maps and scores back. The stages are timed on the GPU in a \
run of their own, each dispatch as a pass, where the adapter has timestamps.

Examples:
  pcsnet bench --model weights/default.safetensors
  pcsnet bench --model bottle.safetensors --batch 8 --precision f16 --json";

/// Measure how long a model takes, run by run and stage by stage.
#[derive(Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    model: Vec<PathBuf>,

    /// Images in a run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,

    /// Runs that count
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Runs before them that do not
    #[arg(long, value_name = "N", default_value_t = 1)]
    warm_up: u32,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    device: DeviceArguments,
}

/// What was measured. Times are milliseconds.
#[derive(Serialize)]
struct Report {
    adapter: String,
    backend: String,
    driver: String,
    precision: &'static str,
    batch: u32,
    median_ms: f64,
    images_per_second: f64,
    runs_ms: Vec<f64>,
    weight_bytes: u64,
    session_bytes: u64,
    /// GPU time of each part of the network, for as many images as run at once; empty without timestamps.
    stages: BTreeMap<String, f64>,
}

/// Runs `pcsnet bench`.
pub fn run(arguments: &Arguments) -> Result<()> {
    let weights = device::open_weights(&arguments.model)?;
    let model = device::load(&weights, &arguments.device)?;
    let session = block_on(model.session(arguments.batch)).context("cannot prepare the network")?;
    let report = measure(arguments, &model, &session)?;
    output::print(&if arguments.json { serde_json::to_string(&report)? + "\n" } else { table(&report)? })
}

fn measure(arguments: &Arguments, model: &Model, session: &Session) -> Result<Report> {
    let side = model.config().input;
    let images: Vec<RgbImage> = (0..arguments.batch).map(|seed| pattern(side, seed)).collect();
    for _ in 0..arguments.warm_up {
        session.run_blocking(&images)?;
    }
    let mut runs_ms = Vec::with_capacity(arguments.runs as usize);
    for _ in 0..arguments.runs {
        let start = Instant::now();
        session.run_blocking(&images)?;
        runs_ms.push(milliseconds(start.elapsed()));
    }
    let median_ms = median(&runs_ms);
    let info = model.device().adapter_info();
    Ok(Report {
        adapter: info.name,
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        precision: match arguments.device.precision {
            Precision::F32 => "f32",
            Precision::F16 => "f16",
        },
        batch: arguments.batch,
        median_ms,
        images_per_second: f64::from(arguments.batch) * 1e3 / median_ms,
        runs_ms,
        weight_bytes: model.weight_bytes(),
        session_bytes: session.bytes(),
        stages: stages(model, session)?,
    })
}

/// A picture with detail everywhere; how long the network takes does not depend on what it sees.
fn pattern(side: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| {
        let mix = |a: u32, b: u32| ((x * a + y * b + x * y + 31 * seed) % 256) as u8;
        image::Rgb([mix(7, 3), mix(2, 11), mix(5, 13)])
    })
}

/// Sums the steps' times by the first part of their labels, such as `backbone` or `decoder`.
fn stages(model: &Model, session: &Session) -> Result<BTreeMap<String, f64>> {
    let mut stages = BTreeMap::new();
    if model.device().features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        for (label, time) in block_on(session.profile())? {
            let stage = label.split('.').next().unwrap_or_default().to_owned();
            *stages.entry(stage).or_default() += milliseconds(time);
        }
    }
    Ok(stages)
}

fn table(report: &Report) -> Result<String> {
    let mut text = String::new();
    let Report { adapter, backend, driver, precision, batch, median_ms, images_per_second, runs_ms, stages, .. } =
        report;
    let (least, most) = (least(runs_ms), -least(&runs_ms.iter().map(|time| -time).collect::<Vec<_>>()));
    writeln!(text, "{adapter}, {backend}, {driver}")?;
    writeln!(text, "batch {batch}, {precision} weights, {} runs", runs_ms.len())?;
    writeln!(text, "{median_ms:.1} ms median ({least:.1} to {most:.1}), {images_per_second:.2} images per second")?;
    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let (weights, session) = (mebibytes(report.weight_bytes), mebibytes(report.session_bytes));
    writeln!(text, "{weights:.1} MiB weights, {session:.1} MiB activations, inputs and outputs")?;
    let total: f64 = stages.values().sum();
    for (stage, time) in stages {
        writeln!(text, "  {stage:<12} {time:>10.2} ms {:>5.1} %", 100.0 * time / total)?;
    }
    Ok(text)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
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
