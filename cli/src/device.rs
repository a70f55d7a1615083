//! From the arguments that all subcommands share to a model on the GPU.

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::gpu::{adapters, open_adapter, open_device};
use pcsnet::weights::{Weights, schema};
use pcsnet::{Engine, EngineOptions, Model, Precision, wgpu};
use pollster::block_on;
use std::path::PathBuf;
use std::sync::Arc;

/// Where and how the network runs.
#[derive(Args)]
pub struct DeviceArguments {
    /// How the weights are kept on the GPU: f16 takes half the memory and gives slightly other scores
    #[arg(long, value_name = "f32|f16", default_value = "f32", hide_possible_values = true, value_parser = precision())]
    pub precision: Precision,

    /// Run on the first adapter whose name contains NAME, regardless of case; `pcsnet info` lists them
    #[arg(long, value_name = "NAME")]
    pub adapter: Option<String>,
}

fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(["f32", "f16"]).map(|name| match name.as_str() {
        "f16" => Precision::F16,
        _ => Precision::F32,
    })
}

/// Opens a model's files and checks all names and shapes, before any device is needed.
pub fn open_weights(files: &[PathBuf]) -> Result<Weights> {
    let weights = Weights::open(files)?;
    weights.check(&schema::model(&weights.config()?))?;
    Ok(weights)
}

/// Loads a model onto the adapter the arguments name.
pub fn load(weights: &Weights, arguments: &DeviceArguments) -> Result<Model> {
    Ok(block_on(engine(arguments)?.load(weights, arguments.precision))?)
}

/// Opens the adapter the arguments name.
pub fn engine(arguments: &DeviceArguments) -> Result<Engine> {
    engine_on(block_on(open_device(arguments.adapter.as_deref()))?)
}

/// Opens an adapter.
pub fn open(adapter: &wgpu::Adapter) -> Result<Engine> {
    engine_on(block_on(open_adapter(adapter))?)
}

/// All adapters; where there are none, the library's error, which says what to install.
pub fn all_adapters() -> Result<Vec<wgpu::Adapter>> {
    let adapters = block_on(adapters());
    if adapters.is_empty() {
        block_on(open_device(None))?;
    }
    Ok(adapters)
}

fn engine_on((device, queue): (wgpu::Device, wgpu::Queue)) -> Result<Engine> {
    // The library catches what its own calls provoke. Should the driver report something else, no result can be
    // trusted, and wgpu would panic.
    device.on_uncaptured_error(Arc::new(|error| {
        eprintln!("error: the graphics device reported: {}", error.to_string().replace('\n', " "));
        std::process::exit(crate::FATAL.into());
    }));
    Ok(Engine::new(device, queue, EngineOptions::default())?)
}
