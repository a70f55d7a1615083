//! A convenience for programs without a device of their own.

use super::requirements::{check_adapter, optional_features, required_features};
use crate::{Error, Result};

/// Every adapter of this machine that the compiled-in backends can see.
pub async fn adapters() -> Vec<wgpu::Adapter> {
    adapters_of(wgpu::Backends::all()).await
}

async fn adapters_of(backends: wgpu::Backends) -> Vec<wgpu::Adapter> {
    let descriptor = wgpu::InstanceDescriptor { backends, ..wgpu::InstanceDescriptor::new_without_display_handle() };
    wgpu::Instance::new(descriptor).enumerate_adapters(backends).await
}

/// Opens a device with all the limits and features the kernels can use.
///
/// `name` picks the first adapter whose name contains it, regardless of case; `None` takes the best one: discrete
/// before integrated, virtual and software adapters, OpenGL after every other backend.
///
/// # Errors
/// [`Error::NoAdapter`] when there is none or none of that name; it says what to install. [`Error::Requirements`] when
/// it cannot run the kernels.
pub async fn open_device(name: Option<&str>) -> Result<(wgpu::Device, wgpu::Queue)> {
    open_adapter(&find_adapter(wgpu::Backends::all(), name).await?).await
}

/// The adapter that [`open_device`] opens, of some backends alone.
///
/// # Errors
/// [`Error::NoAdapter`] when there is none or none of that name; it says what to install.
pub async fn find_adapter(backends: wgpu::Backends, name: Option<&str>) -> Result<wgpu::Adapter> {
    // OpenGL is only asked where nothing better answers: some of its drivers complain on stderr of a missing display.
    let mut found = adapters_of(wgpu::Backends::PRIMARY & backends).await;
    if found.is_empty() {
        found = adapters_of(wgpu::Backends::SECONDARY & backends).await;
    }
    choose(found, name)
}

/// [`open_device`] for an adapter of one's own choice.
///
/// # Errors
/// [`Error::Requirements`] when it cannot run the kernels, [`Error::NoAdapter`] when it gives no device.
pub async fn open_adapter(adapter: &wgpu::Adapter) -> Result<(wgpu::Device, wgpu::Queue)> {
    open_adapter_with(adapter, optional_features(), wgpu::ExperimentalFeatures::disabled()).await
}

/// [`open_adapter`] with those of some features that the adapter has. Experimental ones, such as those of
/// [`matrix_unit_features`](super::matrix_unit_features), take wgpu's word that they may be used.
///
/// # Errors
/// As [`open_adapter`].
pub async fn open_adapter_with(
    adapter: &wgpu::Adapter,
    features: wgpu::Features,
    experimental_features: wgpu::ExperimentalFeatures,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    check_adapter(adapter)?;
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("pcsnet"),
        required_features: required_features() | (adapter.features() & features),
        required_limits: adapter.limits(),
        experimental_features,
        ..Default::default()
    };
    adapter
        .request_device(&descriptor)
        .await
        .map_err(|error| Error::NoAdapter(format!("{}: {error}", adapter.get_info().name)))
}

fn choose(mut adapters: Vec<wgpu::Adapter>, name: Option<&str>) -> Result<wgpu::Adapter> {
    if adapters.is_empty() {
        return Err(Error::NoAdapter(
            "this machine has no Vulkan, Metal, DX12 or OpenGL driver. Install the graphics card's driver, or a \
             software one: on Debian and Ubuntu `apt-get install mesa-vulkan-drivers`"
                .to_owned(),
        ));
    }
    adapters.sort_by_key(|adapter| rank(&adapter.get_info()));
    let Some(name) = name else {
        return Ok(adapters.swap_remove(0));
    };
    let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
    let position = names.iter().position(|known| known.to_lowercase().contains(&name.to_lowercase()));
    match position {
        Some(position) => Ok(adapters.swap_remove(position)),
        None => Err(Error::NoAdapter(format!("none is called `{name}`; there are: {}", names.join(", ")))),
    }
}

/// The smaller, the better.
fn rank(info: &wgpu::AdapterInfo) -> (bool, u8) {
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    (info.backend == wgpu::Backend::Gl, kind)
}
