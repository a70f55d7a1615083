//! From the arguments that all subcommands share to a model on the GPU.

use crate::output;
use crate::tuning;
use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::gpu::{
    MatrixUnits, Tuning, Winograd, adapters, find_adapter, matrix_unit_features, open_adapter_with, open_device,
    optional_features,
};
use pcsnet::weights::Weights;
use pcsnet::{Engine, EngineOptions, LoadOptions, Model, Precision, schema, wgpu};
use pollster::block_on;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// What a device reported that no call of the library provoked.
static FAILURE: OnceLock<String> = OnceLock::new();

/// Why no result can be trusted any more, where a device reported an error of its own.
pub fn failure() -> Option<&'static str> {
    FAILURE.get().map(String::as_str)
}

/// Where and how the network runs.
#[derive(Debug, Args)]
pub struct DeviceArguments {
    /// The adapter.
    #[command(flatten)]
    pub adapter: AdapterArguments,

    /// How weights and activations are kept on the GPU: f16 takes half the memory for weights, f16-activations also
    /// less for activations, and f16-products multiplies so, too; all give slightly other scores
    #[arg(
        long,
        value_name = "f32|f16|f16-activations|f16-products",
        default_value = "f32",
        hide_possible_values = true
    )]
    #[arg(value_parser = precision())]
    pub precision: Precision,

    /// Compute all 3 x 3 convolutions alike: f4x4 is faster for large images, f2x2 takes half the memory for weights.
    /// By default each as suits its size; results agree
    #[arg(long, value_name = "f4x4|f2x2", hide_possible_values = true, value_parser = winograd())]
    pub winograd: Option<Winograd>,

    /// GPU memory for the weights of 3 x 3 convolutions as they are multiplied, in MiB: what does not fit is kept as in
    /// the file, a quarter as large, and transformed before each use. By default as much as they take
    #[arg(long, value_name = "MIB")]
    pub winograd_memory: Option<u64>,
}

/// Which adapter the network runs on.
#[derive(Args, Clone, Debug)]
pub struct AdapterArguments {
    /// Run on the first adapter whose name contains NAME, regardless of case; `pcsnet info` lists them
    #[arg(long = "adapter", value_name = "NAME")]
    pub name: Option<String>,

    /// Look for an adapter in one graphics API alone
    #[arg(long, value_name = "vulkan|metal|dx12|gl", hide_possible_values = true, value_parser = backend())]
    pub backend: Option<wgpu::Backends>,

    /// Do not measure which kernels are the fastest on this device (seconds, the first time a model runs on it)
    #[arg(long, env = "PCSNET_NO_TUNING", hide_env = true)]
    pub no_tuning: bool,

    /// Let precisions of f16 use the adapter's matrix units, if it has any, for the layers that are faster on them.
    /// Experimental: drivers may be wrong about them; `pcsnet doctor --matrix-units` tests them
    #[arg(long)]
    pub matrix_units: bool,
}

impl DeviceArguments {
    /// An adapter with models kept as usual in a precision.
    pub(crate) fn of(adapter: AdapterArguments, precision: Precision) -> Self {
        Self { adapter, precision, winograd: None, winograd_memory: None }
    }

    /// How models are kept on the device.
    pub(crate) fn load_options(&self) -> LoadOptions {
        let mut options = LoadOptions::from(self.precision);
        options.winograd = self.winograd;
        options.winograd_bytes = self.winograd_memory.map(|mebibytes| mebibytes.saturating_mul(1 << 20));
        options
    }
}

fn backend() -> impl TypedValueParser<Value = wgpu::Backends> {
    PossibleValuesParser::new(["vulkan", "metal", "dx12", "gl"]).map(|name| match name.as_str() {
        "vulkan" => wgpu::Backends::VULKAN,
        "metal" => wgpu::Backends::METAL,
        "dx12" => wgpu::Backends::DX12,
        _ => wgpu::Backends::GL,
    })
}

fn winograd() -> impl TypedValueParser<Value = Winograd> {
    PossibleValuesParser::new(["f4x4", "f2x2"]).map(|name| match name.as_str() {
        "f2x2" => Winograd::F2x2,
        _ => Winograd::F4x4,
    })
}

fn precision() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::ALL.map(Precision::name)).try_map(|name| Precision::by_name(&name))
}

/// Opens a model's files and checks all names and shapes, before any device is needed.
pub(crate) fn open_weights(files: &[PathBuf]) -> Result<Weights> {
    let weights = Weights::open(files)?;
    weights.check(&schema::model(&weights.config()?))?;
    Ok(weights)
}

/// Loads a model for runs of `batch` images, with the kernels that are the fastest on the device: measured, where they
/// were not before.
pub(crate) fn load(engine: &Engine, weights: &Weights, arguments: &DeviceArguments, batch: u32) -> Result<Model> {
    tuned(block_on(engine.load(weights, arguments.load_options()))?, engine, weights, arguments, batch)
}

/// A model just loaded, with the kernels that are the fastest.
pub(crate) fn tuned(
    model: Model,
    engine: &Engine,
    weights: &Weights,
    arguments: &DeviceArguments,
    batch: u32,
) -> Result<Model> {
    if arguments.adapter.no_tuning || !tuning::measure(engine, &model, batch) {
        return Ok(model);
    }
    // Not both at once in memory.
    drop(model);
    Ok(block_on(engine.load(weights, arguments.load_options()))?)
}

/// Opens the adapter the arguments name.
pub(crate) fn engine(arguments: &AdapterArguments) -> Result<Engine> {
    let adapter = adapter(arguments)?;
    let tuning = |device: &wgpu::Device| if arguments.no_tuning { None } else { tuning::stored(device) };
    engine_on(&adapter, arguments.matrix_units, tuning)
}

/// The adapter the arguments name.
pub(crate) fn adapter(arguments: &AdapterArguments) -> Result<wgpu::Adapter> {
    let backends = arguments.backend.unwrap_or(wgpu::Backends::all());
    Ok(block_on(find_adapter(backends, arguments.name.as_deref()))?)
}

/// Opens an adapter, for kernels as they are without tuning.
pub(crate) fn open(adapter: &wgpu::Adapter, matrix_units: bool) -> Result<Engine> {
    engine_on(adapter, matrix_units, |_| None)
}

/// All adapters; where there are none, the library's error, which says what to install.
pub(crate) fn all_adapters() -> Result<Vec<wgpu::Adapter>> {
    let adapters = block_on(adapters());
    if adapters.is_empty() {
        block_on(open_device(None))?;
    }
    Ok(adapters)
}

fn engine_on(
    adapter: &wgpu::Adapter,
    matrix_units: bool,
    tuning: impl FnOnce(&wgpu::Device) -> Option<Tuning>,
) -> Result<Engine> {
    let matrix_units = MatrixUnits::of(adapter).filter(|_| matrix_units);
    let (features, experimental) = match matrix_units {
        // SAFETY: wgpu asks for the word that its experimental features may have faults; whoever names the option gives
        // it, and the self-test runs every kernel that uses them.
        Some(_) => (optional_features() | matrix_unit_features(), unsafe { wgpu::ExperimentalFeatures::enabled() }),
        None => (optional_features(), wgpu::ExperimentalFeatures::disabled()),
    };
    let (device, queue) = block_on(open_adapter_with(adapter, features, experimental))?;
    // The library catches what its own calls provoke. Should the driver report something else, no result can be
    // trusted, and wgpu would panic.
    device.on_uncaptured_error(Arc::new(|error| {
        let report = format!("the graphics device reported: {}", error.to_string().replace('\n', " "));
        output::complain(&format!("error: {report}"));
        FAILURE.set(report).ok();
        if !output::is_hosted() {
            std::process::exit(crate::FATAL.into());
        }
    }));
    let mut options = EngineOptions::default();
    options.tuning = tuning(&device);
    options.matrix_units = matrix_units;
    Ok(Engine::new(device, queue, options)?)
}
