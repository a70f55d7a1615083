//! A Vulkan driver as a compiler: pipelines are made on its first device and its statistics read. Nothing runs.

use crate::assembly;
use crate::spirv::{Module, Resource};
use anyhow::{Context, Result, anyhow};
use ash::{khr, vk};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::CStr;

/// What a compiler says about a kernel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    pub vector_registers: u64,
    pub spilled_registers: u64,
    /// Bytes a subgroup.
    pub scratch: u64,
    /// Bytes a workgroup.
    pub workgroup_memory: u64,
    /// Subgroups that fit a SIMD unit at once.
    pub waves: u64,
    pub instructions: u64,
    pub branches: u64,
    /// Loads, stores and atomics, of buffers, textures and workgroup memory.
    pub memory_operations: u64,
    /// Fused multiply-adds as a share of the vector arithmetic of the loop that has most of them.
    pub fused: Option<f64>,
    /// Clocks that a subgroup takes, as the compiler estimates them.
    pub latency: u64,
    /// Invocations of a subgroup.
    pub subgroup: u64,
}

/// What a driver made of some modules.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compiled {
    /// Name and version of driver and device.
    pub driver: String,
    /// By kernel.
    pub kernels: BTreeMap<String, Statistics>,
}

/// Compiles modules on the first device that the Vulkan loader finds.
///
/// # Errors
/// When there is no Vulkan loader or device, or the driver refuses a module or does not tell about pipelines.
pub fn compile(modules: &[Module]) -> Result<Compiled> {
    // SAFETY: every handle is made by the loader right here, used on this thread while what it was made from is
    // alive, and left to the end of the process, which compiles once and exits; structures that Vulkan reads live
    // across its calls.
    unsafe { compile_on_first_device(modules) }
}

unsafe fn compile_on_first_device(modules: &[Module]) -> Result<Compiled> {
    let entry = unsafe { ash::Entry::load() }.context("no Vulkan loader")?;
    let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
    let create = vk::InstanceCreateInfo::default().application_info(&application);
    let instance = unsafe { entry.create_instance(&create, None) }.context("no Vulkan instance")?;
    let devices = unsafe { instance.enumerate_physical_devices() }.context("no Vulkan device")?;
    let physical = *devices.first().context("no Vulkan device")?;
    let mut about = vk::PhysicalDeviceDriverProperties::default();
    let mut properties = vk::PhysicalDeviceProperties2::default().push_next(&mut about);
    unsafe { instance.get_physical_device_properties2(physical, &mut properties) };
    let device_name = properties.properties.device_name_as_c_str()?.to_string_lossy().into_owned();
    let driver_info = about.driver_info_as_c_str()?.to_string_lossy().into_owned();
    let (device, has_matrix_units) = unsafe { create_device(&instance, physical) }?;
    let statistics = khr::pipeline_executable_properties::Device::new(&instance, &device);
    let mut kernels = BTreeMap::new();
    for module in modules.iter().filter(|module| has_matrix_units || !module.on_matrix_units()) {
        let pipeline = unsafe { create_pipeline(&device, module) }.with_context(|| module.kernel.clone())?;
        let read = unsafe { read_statistics(&statistics, pipeline) }.with_context(|| module.kernel.clone())?;
        kernels.insert(module.kernel.clone(), read);
    }
    Ok(Compiled { driver: format!("{device_name}, {driver_info}"), kernels })
}

/// A device with the features that wgpu asks of it, and whether matrix units are among them.
unsafe fn create_device(instance: &ash::Instance, physical: vk::PhysicalDevice) -> Result<(ash::Device, bool)> {
    let offered = unsafe { instance.enumerate_device_extension_properties(physical) }?;
    let has = |name: &CStr| offered.iter().any(|extension| extension.extension_name_as_c_str() == Ok(name));
    let mut extensions = vec![khr::pipeline_executable_properties::NAME.as_ptr()];
    let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
    let features = vk::PhysicalDeviceFeatures::default().robust_buffer_access(true);
    let mut of_1_1 = vk::PhysicalDeviceVulkan11Features::default()
        .storage_buffer16_bit_access(true)
        .uniform_and_storage_buffer16_bit_access(true);
    let mut of_1_2 = vk::PhysicalDeviceVulkan12Features::default()
        .shader_float16(true)
        .vulkan_memory_model(true)
        .vulkan_memory_model_device_scope(true);
    let mut of_1_3 = vk::PhysicalDeviceVulkan13Features::default().maintenance4(true);
    let mut executables =
        vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default().pipeline_executable_info(true);
    let mut robustness = vk::PhysicalDeviceRobustness2FeaturesEXT::default().robust_buffer_access2(true);
    let mut matrices = vk::PhysicalDeviceCooperativeMatrixFeaturesKHR::default().cooperative_matrix(true);
    let mut create = vk::DeviceCreateInfo::default()
        .queue_create_infos(&queues)
        .enabled_features(&features)
        .push_next(&mut of_1_1)
        .push_next(&mut of_1_2)
        .push_next(&mut of_1_3)
        .push_next(&mut executables);
    if has(ash::ext::robustness2::NAME) {
        extensions.push(ash::ext::robustness2::NAME.as_ptr());
        create = create.push_next(&mut robustness);
    }
    let has_matrix_units = has(khr::cooperative_matrix::NAME);
    if has_matrix_units {
        extensions.push(khr::cooperative_matrix::NAME.as_ptr());
        create = create.push_next(&mut matrices);
    }
    let create = create.enabled_extension_names(&extensions);
    Ok((unsafe { instance.create_device(physical, &create, None) }?, has_matrix_units))
}

unsafe fn create_pipeline(device: &ash::Device, module: &Module) -> Result<vk::Pipeline> {
    let bindings: Vec<_> = module
        .bindings
        .iter()
        .map(|&(binding, resource)| {
            let kind = match resource {
                Resource::Uniform => vk::DescriptorType::UNIFORM_BUFFER,
                Resource::Storage => vk::DescriptorType::STORAGE_BUFFER,
                Resource::StorageTexture => vk::DescriptorType::STORAGE_IMAGE,
            };
            vk::DescriptorSetLayoutBinding::default()
                .binding(binding)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        })
        .collect();
    let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
    let sets = [unsafe { device.create_descriptor_set_layout(&create, None) }?];
    let create = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
    let layout = unsafe { device.create_pipeline_layout(&create, None) }?;
    let create = vk::ShaderModuleCreateInfo::default().code(&module.words);
    let shader = unsafe { device.create_shader_module(&create, None) }?;
    let stage = vk::PipelineShaderStageCreateInfo::default()
        .flags(vk::PipelineShaderStageCreateFlags::ALLOW_VARYING_SUBGROUP_SIZE)
        .stage(vk::ShaderStageFlags::COMPUTE)
        .module(shader)
        .name(c"main");
    let flags =
        vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR;
    let create = [vk::ComputePipelineCreateInfo::default().flags(flags).stage(stage).layout(layout)];
    let pipelines = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &create, None) };
    let pipelines = pipelines.map_err(|(_, error)| anyhow!("the driver refuses the pipeline: {error}"))?;
    pipelines.first().copied().context("no pipeline")
}

unsafe fn read_statistics(
    driver: &khr::pipeline_executable_properties::Device,
    pipeline: vk::Pipeline,
) -> Result<Statistics> {
    let info = vk::PipelineInfoKHR::default().pipeline(pipeline);
    let executables = unsafe { driver.get_pipeline_executable_properties(&info) }?;
    let subgroup = executables.first().context("a pipeline without executables")?.subgroup_size;
    let info = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
    let mut values = BTreeMap::new();
    for statistic in unsafe { driver.get_pipeline_executable_statistics(&info) }? {
        // SAFETY: the format says which member is set.
        let value = match statistic.format {
            vk::PipelineExecutableStatisticFormatKHR::UINT64 => unsafe { statistic.value.u64 },
            _ => continue,
        };
        values.insert(statistic.name_as_c_str()?.to_string_lossy().into_owned(), value);
    }
    let value = |name: &str| values.get(name).copied().with_context(|| format!("the driver does not tell `{name}`"));
    let text = unsafe { machine_code(driver, &info) }?;
    Ok(Statistics {
        vector_registers: value("VGPRs")?,
        spilled_registers: value("Spilled VGPRs")? + value("Spilled SGPRs")?,
        scratch: value("Scratch size")?,
        workgroup_memory: value("LDS size")?,
        waves: value("Subgroups per SIMD")?,
        instructions: value("Instructions")?,
        branches: value("Branches")?,
        memory_operations: assembly::memory_operations(&text),
        fused: assembly::fused_share(&text),
        latency: value("Latency")?,
        subgroup: subgroup.into(),
    })
}

/// The disassembled machine code.
unsafe fn machine_code(
    driver: &khr::pipeline_executable_properties::Device,
    info: &vk::PipelineExecutableInfoKHR<'_>,
) -> Result<String> {
    let raw = driver.fp().get_pipeline_executable_internal_representations_khr;
    let mut count = 0;
    unsafe { raw(driver.device(), info, &mut count, std::ptr::null_mut()) }.result()?;
    let mut representations = vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
    unsafe { raw(driver.device(), info, &mut count, representations.as_mut_ptr()) }.result()?;
    let mut texts: Vec<Vec<u8>> = representations.iter().map(|known| vec![0; known.data_size]).collect();
    for (representation, text) in representations.iter_mut().zip(&mut texts) {
        representation.p_data = text.as_mut_ptr().cast();
    }
    unsafe { raw(driver.device(), info, &mut count, representations.as_mut_ptr()) }.result()?;
    let position = representations
        .iter()
        .position(|known| known.name_as_c_str().is_ok_and(|name| name.to_bytes().ends_with(b"ssembly")))
        .context("the driver does not show its machine code")?;
    Ok(String::from_utf8_lossy(&texts[position]).into_owned())
}
