//! From WGSL to the SPIR-V that wgpu hands to a Vulkan driver.

use crate::network::Program;
use anyhow::{Context, Result, anyhow};
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::{Capabilities, ValidationFlags, Validator};
use serde::{Deserialize, Serialize};

/// A compute shader as a driver gets it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Module {
    pub kernel: String,
    pub words: Vec<u32>,
    pub bindings: Vec<(u32, Resource)>,
    pub invocations: u32,
}

impl Module {
    /// Whether it takes a device with matrix units.
    pub fn on_matrix_units(&self) -> bool {
        self.kernel.contains("+MATRIX_UNITS")
    }
}

/// What stands at a binding.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Resource {
    Uniform,
    Storage,
    StorageTexture,
}

/// Translates a program as wgpu does for a driver that checks the bounds of buffers itself, as RADV does.
pub fn translate(program: &Program) -> Result<Module> {
    let what = || program.kernel.clone();
    let parsed = naga::front::wgsl::parse_str(&program.wgsl)
        .map_err(|error| anyhow!("{}: {}", program.kernel, error.emit_to_string(&program.wgsl)))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::all());
    let info = validator.validate(&parsed).with_context(what)?;
    let constants = program.constants.iter().cloned().collect();
    let entry_point = Some((naga::ShaderStage::Compute, "main"));
    let (module, info) = naga::back::pipeline_constants::process_overrides(&parsed, &info, entry_point, &constants)
        .with_context(what)?;
    let pipeline = spv::PipelineOptions { shader_stage: naga::ShaderStage::Compute, entry_point: "main".to_owned() };
    let words = spv::write_vec(&module, &info, &options(), Some(&pipeline)).with_context(what)?;
    let entry_point = module.entry_points.first().with_context(what)?;
    let bindings = module.global_variables.iter().filter_map(|(_, variable)| {
        let resource = match variable.space {
            naga::AddressSpace::Uniform => Resource::Uniform,
            naga::AddressSpace::Storage { .. } => Resource::Storage,
            naga::AddressSpace::Handle => Resource::StorageTexture,
            _ => return None,
        };
        Some((variable.binding?.binding, resource))
    });
    Ok(Module {
        kernel: program.kernel.clone(),
        words,
        bindings: bindings.collect(),
        invocations: entry_point.workgroup_size.iter().product(),
    })
}

/// Those of wgpu-hal's Vulkan backend for a device of Vulkan 1.3 with `robustBufferAccess2`, for pipelines that do
/// not ask for zeroed workgroup memory.
fn options() -> spv::Options<'static> {
    spv::Options {
        lang_version: (1, 6),
        flags: spv::WriterFlags::LABEL_VARYINGS | spv::WriterFlags::FORCE_POINT_SIZE,
        capabilities: None,
        bounds_check_policies: BoundsCheckPolicies {
            index: BoundsCheckPolicy::Restrict,
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: BoundsCheckPolicy::Unchecked,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: spv::ZeroInitializeWorkgroupMemoryMode::None,
        force_loop_bounding: false,
        ..Default::default()
    }
}
