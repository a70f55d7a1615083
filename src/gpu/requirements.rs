//! What the kernels need of a device: WebGPU's default limits, or less.

use crate::{Error, Result};

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

/// Checks that an adapter can run the kernels at all.
///
/// # Errors
/// [`Error::NoAdapter`] that names the adapter and every limit it falls short of.
pub fn check_adapter(adapter: &wgpu::Adapter) -> Result<()> {
    let shortfalls = shortfalls(&adapter.limits());
    if shortfalls.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = shortfalls
        .iter()
        .map(|(limit, required, available)| format!("{limit} is {available}, needs {required}"))
        .collect();
    Err(Error::NoAdapter(format!("{}: {}", adapter.get_info().name, list.join("; "))))
}

/// The first limit a device falls short of, as an error.
pub(crate) fn check_limits(limits: &wgpu::Limits) -> Result<()> {
    match shortfalls(limits).first() {
        None => Ok(()),
        Some(&(limit, required, available)) => {
            Err(Error::Limit { what: "the compute kernels".to_owned(), limit, required, available })
        }
    }
}

/// Each limit that is too small: its name, what is needed and what is offered.
fn shortfalls(limits: &wgpu::Limits) -> Vec<(&'static str, u64, u64)> {
    let needed = required_limits();
    macro_rules! compare {
        ($($limit:ident),* $(,)?) => {
            [$((stringify!($limit), u64::from(needed.$limit), u64::from(limits.$limit))),*]
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
    .filter(|(_, required, available)| available < required)
    .collect()
}
