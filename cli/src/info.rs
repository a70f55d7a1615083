//! `pcsnet info`: what this machine's adapters offer, what a model is, and whether the two fit.

use crate::{device, one_line, output};
use anyhow::{Context, Result};
use clap::Args;
use pcsnet::config::{BackboneConfig, DescriptorKind, HeadConfig, TaughtLevel};
use pcsnet::gpu::{MatrixUnits, check_adapter};
use pcsnet::image::Fit;
use pcsnet::weights::{Schema, Weights};
use pcsnet::{Engine, Memory, ModelConfig, Precision, schema, wgpu};
use pollster::block_on;
use std::fmt::Write;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  pcsnet info
  pcsnet info --model bottle.safetensors
  pcsnet info --model backbone.safetensors head.safetensors --batch 8

Memory is what is allocated on the GPU. Activations are the network's own tensors, of the images that run at once (at \
most 8); scratch is what kernels need beside them. Tensors that are never alive together share memory, and no byte \
counts twice.";

/// Describe this machine's graphics adapters, and a model.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Also describe this model (a bundle, or the backbone's and the head's safetensors), and load it onto every
    /// adapter to see what memory it takes
    #[arg(long, value_name = "FILE", num_args = 1..)]
    model: Vec<PathBuf>,

    /// Images in a run, for the memory it takes
    #[arg(long, value_name = "N", default_value_t = 1, requires = "model")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    batch: u32,
}

/// Runs `pcsnet info`.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let weights = match arguments.model.as_slice() {
        [] => None,
        files => Some(device::open_weights(files)?),
    };
    let mut report = String::new();
    if let Some(weights) = &weights {
        describe_model(&mut report, weights)?;
    }
    match device::all_adapters() {
        // No failure: that there is none is what was asked for.
        Err(error) => writeln!(report, "{}", one_line(&error))?,
        Ok(adapters) => {
            for adapter in &adapters {
                describe_adapter(&mut report, adapter)?;
                if let Some(weights) = &weights {
                    describe_fit(&mut report, adapter, weights, arguments.batch)?;
                }
            }
        }
    }
    output::print(&report)
}

fn describe_model(report: &mut String, weights: &Weights) -> Result<()> {
    let config = weights.config()?;
    let metadata = weights.metadata();
    let fit = metadata.get("pcsnet.fit").map_or(Ok(Fit::default()), |name| Fit::by_name(name))?;
    let fit = match fit {
        Fit::Crop => "crop: the middle of the photograph is inspected",
        Fit::Stretch => "stretch: the whole photograph is inspected",
    };
    writeln!(report, "Model")?;
    line(report, "backbone", backbone_name(&config.backbone))?;
    line(report, "input", format!("{0} x {0}, {fit}", config.input))?;
    line(report, "grid", format!("{0} x {0}", config.grid))?;
    describe_head(report, &config)?;
    line(report, "parameters", parameters(&config))?;
    // The sizes above are what `pcsnet.config` holds.
    for (key, value) in metadata.into_iter().filter(|(key, _)| *key != "pcsnet.config") {
        line(report, "metadata", format!("{key} = {value}"))?;
    }
    Ok(())
}

fn describe_head(report: &mut String, config: &ModelConfig) -> Result<()> {
    match &config.head {
        HeadConfig::Trained(head) => {
            let descriptor = match head.descriptor {
                DescriptorKind::Plain => "plain",
                DescriptorKind::Rotation => "rotation",
            };
            let bins: Vec<String> = head.bins.iter().map(u32::to_string).collect();
            line(report, "descriptor", format!("{descriptor}, {} channels", config.descriptor_channels()))?;
            line(report, "prototypes", format!("{}, the nearest {} count", head.prototypes, head.nearest))?;
            line(report, "decoder", format!("{} channels, bins {}", head.width, bins.join(", ")))
        }
        HeadConfig::Taught(head) => head.levels.iter().try_for_each(|TaughtLevel { level, prototypes }| {
            let channels = config.level_channels()[*level as usize - 1];
            line(report, &format!("level {level}"), format!("{prototypes} prototypes of {channels} channels"))
        }),
    }
}

fn backbone_name(backbone: &BackboneConfig) -> String {
    for name in ["wide_resnet50_2", "resnet18", "efficientnet_lite0"] {
        if BackboneConfig::by_name(name).is_ok_and(|known| known == *backbone) {
            return name.to_owned();
        }
    }
    let kind = match backbone {
        BackboneConfig::Basic(_) => "basic",
        BackboneConfig::Bottleneck(_) => "bottleneck",
        BackboneConfig::Inverted(_) => "inverted",
    };
    format!("{kind} blocks, channels {:?}", backbone.channels())
}

/// Counted as in PyTorch's files: with the prototypes and the BatchNorms' statistics.
fn parameters(config: &ModelConfig) -> String {
    let count = |schema: Schema| {
        let elements: usize = schema.tensors().iter().map(|tensor| tensor.shape.iter().product::<usize>()).sum();
        elements as f64 / 1e6
    };
    let (backbone, head) = (count(schema::backbone(config)), count(schema::head(config)));
    format!("{:.2} million: backbone {backbone:.2}, head {head:.2}", backbone + head)
}

/// What an adapter is and offers, and whether the network can run on it.
pub(crate) fn describe_adapter(report: &mut String, adapter: &wgpu::Adapter) -> Result<()> {
    let info = adapter.get_info();
    let (features, limits) = (adapter.features(), adapter.limits());
    let has = |feature| if features.contains(feature) { "yes" } else { "no" };
    let subgroups = match features.contains(wgpu::Features::SUBGROUP) {
        true => format!("yes, of {} to {}", info.subgroup_min_size, info.subgroup_max_size),
        false => "no".to_owned(),
    };
    let (f16, timestamps) = (has(wgpu::Features::SHADER_F16), has(wgpu::Features::TIMESTAMP_QUERY));
    writeln!(report, "Adapter: {}", info.name)?;
    line(report, "backend", format!("{:?}", info.backend))?;
    line(report, "type", kind(info.device_type))?;
    line(report, "driver", format!("{} {}", info.driver, info.driver_info).trim())?;
    let units = MatrixUnits::of(adapter).map_or("no".to_owned(), |units| format!("of {0} x {0}", units.side()));
    let features = format!("f16 {f16}; subgroups {subgroups}; matrix units {units}; timestamps {timestamps}");
    line(report, "features", features)?;
    line(
        report,
        "buffers",
        format!(
            "{} at most, {} in one binding, {} storage bindings a stage",
            size(limits.max_buffer_size),
            size(limits.max_storage_buffer_binding_size),
            limits.max_storage_buffers_per_shader_stage
        ),
    )?;
    line(
        report,
        "workgroups",
        format!(
            "{} invocations, {} shared memory, {} a dimension",
            limits.max_compute_invocations_per_workgroup,
            size(limits.max_compute_workgroup_storage_size.into()),
            limits.max_compute_workgroups_per_dimension
        ),
    )?;
    let verdict = match check_adapter(adapter) {
        Ok(()) => "can run here".to_owned(),
        Err(error) => format!("cannot run here: {error}"),
    };
    line(report, "PCSNet", verdict)
}

fn kind(kind: wgpu::DeviceType) -> &'static str {
    match kind {
        wgpu::DeviceType::DiscreteGpu => "graphics card",
        wgpu::DeviceType::IntegratedGpu => "integrated graphics",
        wgpu::DeviceType::VirtualGpu => "virtual graphics",
        wgpu::DeviceType::Cpu => "software, on the CPU",
        wgpu::DeviceType::Other => "unknown",
    }
}

/// Loads the model, because nothing else tells as surely whether it fits.
fn describe_fit(report: &mut String, adapter: &wgpu::Adapter, weights: &Weights, batch: u32) -> Result<()> {
    for precision in Precision::ALL {
        let verdict = match memory(adapter, weights, precision, batch) {
            Ok(memory) => {
                let parts = describe_memory(&memory);
                format!("{parts}; {} in all for a batch of {batch}", size(memory.total()))
            }
            Err(error) => format!("does not fit: {}", one_line(&error)),
        };
        line(report, &format!("model, {}", precision.name()), verdict)?;
    }
    Ok(())
}

fn memory(adapter: &wgpu::Adapter, weights: &Weights, precision: Precision, batch: u32) -> Result<Memory> {
    check_adapter(adapter)?;
    let engine: Engine = device::open(adapter, false)?;
    let model = block_on(engine.load(weights, precision))?;
    let session = block_on(model.session(batch)).with_context(|| format!("a batch of {batch}"))?;
    Ok(session.memory())
}

/// The parts of a network's memory.
pub(crate) fn describe_memory(memory: &Memory) -> String {
    let [weights, activations, scratch, io] = [memory.weights, memory.activations, memory.scratch, memory.io].map(size);
    format!("{weights} weights, {activations} activations, {scratch} scratch, {io} inputs and outputs")
}

/// One line of a report.
pub(crate) fn line(report: &mut String, name: &str, value: impl AsRef<str>) -> Result<()> {
    Ok(writeln!(report, "  {name:<11} {}", value.as_ref())?)
}

fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    let unit = (1..UNITS.len()).rev().find(|&unit| bytes >= 1 << (10 * unit)).unwrap_or(0);
    let value = bytes as f64 / f64::from(1_u32 << 10).powi(unit as i32);
    format!("{} {}", (value * 10.0).round() / 10.0, UNITS[unit])
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes() {
        for (bytes, text) in [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (128 << 20, "128 MiB")] {
            assert_eq!(super::size(bytes), text);
        }
    }
}
