//! `pcsnet doctor`: whether this machine can run PCSNet, computes what it should, and how fast.

use crate::device::{self, DeviceArguments};
use crate::{info, one_line, output};
use anyhow::{Result, ensure};
use clap::Args;
use pcsnet::gpu::shortfalls;
use pcsnet::image::RgbImage;
use pcsnet::weights::Weights;
use pcsnet::{Engine, KernelCheck};
use pollster::block_on;
use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  pcsnet doctor
  pcsnet doctor --adapter nvidia --model bottle.safetensors --precision f16";

/// Check this machine: its adapters, every kernel's answers, and the time of a run.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model that is timed, a bundle, or the backbone's and the head's safetensors; else the default model
    #[arg(long, value_name = "FILE", num_args = 1..)]
    model: Vec<PathBuf>,

    #[command(flatten)]
    device: DeviceArguments,
}

/// Runs `pcsnet doctor`. Sound is a machine with at least one usable adapter and no wrong kernel.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let weights = match arguments.model.as_slice() {
        [] => Weights::built_in()?,
        files => device::open_weights(files)?,
    };
    let name = arguments.device.adapter.name.as_deref().unwrap_or_default().to_lowercase();
    let mut adapters = device::all_adapters()?;
    adapters.retain(|adapter| adapter.get_info().name.to_lowercase().contains(&name));
    ensure!(!adapters.is_empty(), "no adapter is called `{name}`; `pcsnet info` lists them");
    let (mut usable, mut wrong) = (0, 0);
    let matrix_units = arguments.device.adapter.matrix_units;
    for adapter in &adapters {
        let mut report = String::new();
        info::describe_adapter(&mut report, adapter)?;
        if shortfalls(&adapter.limits()).is_empty() {
            match device::open(adapter, matrix_units) {
                Ok(engine) => {
                    usable += 1;
                    wrong += examine(&mut report, &engine, &weights, arguments)?;
                }
                Err(error) => info::line(&mut report, "device", format!("refused: {}", one_line(&error)))?,
            }
        }
        output::print(&report)?;
    }
    ensure!(usable > 0, "no adapter of this machine can run PCSNet; a newer driver may help");
    ensure!(
        wrong == 0,
        "kernels gave wrong answers ({wrong} of them); update the graphics driver, or report this output"
    );
    Ok(())
}

/// Tests and times one device, and gives the number of wrong answers.
fn examine(report: &mut String, engine: &Engine, weights: &Weights, arguments: &Arguments) -> Result<usize> {
    let start = Instant::now();
    let checks = block_on(engine.probe())?;
    let failures: Vec<&KernelCheck> = checks.iter().filter(|check| !check.passed()).collect();
    let right = checks.len() - failures.len();
    let time = start.elapsed().as_secs_f64();
    info::line(report, "kernels", format!("{right} of {} known answers right, in {time:.1} s", checks.len()))?;
    for check in &failures {
        let failure = check.failure.as_deref().unwrap_or_default();
        writeln!(report, "    WRONG: {} ({}): {failure}", check.operation, check.kernels.join(", "))?;
    }
    let timing = time_a_run(engine, weights, arguments).unwrap_or_else(|error| one_line(&error));
    info::line(report, "run", timing)?;
    Ok(failures.len())
}

fn time_a_run(engine: &Engine, weights: &Weights, arguments: &Arguments) -> Result<String> {
    const RUNS: usize = 5;
    let start = Instant::now();
    let model = block_on(engine.load(weights, arguments.device.load_options()))?;
    let session = block_on(model.session(1))?;
    let side = model.config().input;
    let image = [RgbImage::from_fn(side, side, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]))];
    session.run_blocking(&image)?;
    let first = start.elapsed().as_secs_f64();
    let mut times = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let start = Instant::now();
        session.run_blocking(&image)?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    let name = if arguments.model.is_empty() { "the default model" } else { "the model" };
    let (median, least, most) = (times[RUNS / 2], times[0], times[RUNS - 1]);
    Ok(format!("{name}: first result after {first:.2} s, then {median:.3} s an image ({least:.3} to {most:.3})"))
}
