//! `pcsnet trace`: every stage of the network on one input, to compare with another implementation.

use crate::device::{self, DeviceArguments};
use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use pcsnet::TracedStage;
use pcsnet::weights::{self, NamedTensor, Stored, read_tensor};
use pollster::block_on;
use std::collections::BTreeMap;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Stages, in the order of the network:
  feature1..3, descriptor, score, cas_bin0.., cas_res1, cas_final, cas_logits64, map, blurred
All are float32, 1 x channels x height x width; `blurred`, the anomaly map, is height x width.

Examples:
  pcsnet trace --model bottle.safetensors --input input.safetensors --out stages.safetensors
  pcsnet trace --model backbone.safetensors head.safetensors --input i.safetensors --out o.safetensors";

/// Write every stage of the network for one input tensor, to compare with PyTorch.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The model: a bundle, or the backbone's and the head's safetensors
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    model: Vec<PathBuf>,

    /// A safetensors file with the tensor `input`: 1 x 3 x side x side, normalised as for PyTorch,
    /// after it was brought to the light that the model states, if it does
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    #[command(flatten)]
    device: DeviceArguments,
}

/// Runs `pcsnet trace`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    output::ensure_file_writable(&arguments.out)?;
    output::ensure_writable(output::folder_of(&arguments.out))?;
    let weights = device::open_weights(&arguments.model)?;
    let side = weights.config()?.input as usize;
    let input = read_tensor(&arguments.input, "input", &[1, 3, side, side])?;
    let model = block_on(device::engine(&arguments.device.adapter)?.load(&weights, arguments.device.load_options()))?;
    let stages = block_on(model.trace(&input)).context("cannot run the network")?;
    write(arguments, &stages)?;
    output::print(&format!("{} stages written to {}\n", stages.len(), arguments.out.display()))
}

fn write(arguments: &Arguments, stages: &[TracedStage]) -> Result<()> {
    let tensors: Vec<_> = stages
        .iter()
        .map(|stage| NamedTensor { name: &stage.name, shape: shape(stage), values: &stage.values, stored: Stored::F32 })
        .collect();
    Ok(weights::write(&arguments.out, &tensors, &BTreeMap::new())?)
}

/// The anomaly map is no feature map any more: it has neither batch nor channels.
fn shape(stage: &TracedStage) -> &[usize] {
    match stage.name.as_str() {
        "blurred" => &stage.shape[2..],
        _ => &stage.shape,
    }
}
