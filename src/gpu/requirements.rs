//! What the kernels need of a device: WebGPU's default limits, or less.

pub use crate::error::Shortfall;
use crate::{Error, Result};

/// The features any model needs: none.
pub fn required_features() -> wgpu::Features {
    wgpu::Features::empty()
}

/// The features that are used where a device was made with them: subgroups make products on CPU adapters faster, and
/// timestamps let [`Session::profile`](crate::Session::profile) time single steps. A host may ask for
/// `adapter.features() & optional_features()`.
pub fn optional_features() -> wgpu::Features {
    wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY
}

/// The features that products on matrix units take, [`EngineOptions::matrix_units`](crate::EngineOptions): one of them
/// is experimental in wgpu, so a host asks for them apart, with `wgpu::ExperimentalFeatures::enabled()`.
pub fn matrix_unit_features() -> wgpu::Features {
    wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SHADER_F16 | wgpu::Features::SUBGROUP
}

/// The least limits any model can run with. Everything larger a device offers is used for larger batches.
pub fn required_limits() -> wgpu::Limits {
    wgpu::Limits {
        max_bind_groups: 1,
        max_bindings_per_bind_group: 8,
        max_storage_buffers_per_shader_stage: 6,
        max_uniform_buffers_per_shader_stage: 1,
        max_compute_invocations_per_workgroup: 256,
        max_compute_workgroup_size_x: 256,
        max_compute_workgroup_size_y: 8,
        max_compute_workgroup_size_z: 1,
        max_compute_workgroup_storage_size: 8192,
        max_compute_workgroups_per_dimension: 65535,
        ..wgpu::Limits::default()
    }
}

/// Every limit that is too small for the kernels; none where they can run. For an adapter's limits or a device's.
///
/// ```
/// use pcsnet::{gpu::shortfalls, wgpu::Limits};
/// assert_eq!(shortfalls(&Limits::default()), []);
/// ```
pub fn shortfalls(limits: &wgpu::Limits) -> Vec<Shortfall> {
    let needed = required_limits();
    macro_rules! compare {
        ($($limit:ident),* $(,)?) => {
            [$(Shortfall {
                limit: stringify!($limit),
                required: u64::from(needed.$limit),
                available: u64::from(limits.$limit),
            }),*]
        };
    }
    compare![
        max_bind_groups,
        max_bindings_per_bind_group,
        max_storage_buffers_per_shader_stage,
        max_uniform_buffers_per_shader_stage,
        max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x,
        max_compute_workgroup_size_y,
        max_compute_workgroup_storage_size,
        max_compute_workgroups_per_dimension,
    ]
    .into_iter()
    .filter(|shortfall| shortfall.available < shortfall.required)
    .collect()
}

/// Checks that an adapter can run the kernels, before a device is made.
///
/// # Errors
/// [`Error::Requirements`] that names the adapter and every limit it falls short of.
pub fn check_adapter(adapter: &wgpu::Adapter) -> Result<()> {
    check_limits(&adapter.get_info().name, &adapter.limits())
}

/// Checks the limits of an adapter or a device of this name.
pub(crate) fn check_limits(name: &str, limits: &wgpu::Limits) -> Result<()> {
    let shortfalls = shortfalls(limits);
    if shortfalls.is_empty() { Ok(()) } else { Err(Error::Requirements { device: name.to_owned(), shortfalls }) }
}
