//! GPU buffers to host memory.

use super::Gpu;
use super::mapping::Mapping;
use crate::{Error, Result};

/// Reads whole buffers of values of one type, which must have been created with `COPY_SRC`.
///
/// Submits one copy and waits for it and for everything submitted before.
pub(crate) async fn read_buffers<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    gpu: &Gpu,
    sources: &[(&wgpu::Buffer, u64)],
) -> Result<Vec<Vec<T>>> {
    let staging = gpu
        .guarded("read-back buffers", || {
            let create = |&(_, size): &(&wgpu::Buffer, u64)| {
                gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("read-back"),
                    size,
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            sources.iter().map(create).collect::<Vec<_>>()
        })
        .await?;
    gpu.guarded("read-back", || {
        let mut encoder =
            gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read-back") });
        for (&(source, size), target) in sources.iter().zip(&staging) {
            encoder.copy_buffer_to_buffer(source, 0, target, 0, size);
        }
        gpu.queue.submit([encoder.finish()]);
    })
    .await?;
    // On a lost device buffers are created without any error and are invalid; here that shows.
    let pending: Vec<_> = gpu.guarded("read-back", || staging.iter().map(Mapping::begin).collect()).await?;
    #[cfg(test)]
    gpu.calls.wait(&gpu.device);
    // Off the web this runs the callbacks; in a browser the event loop does.
    gpu.wait()?;
    let mut values = Vec::with_capacity(staging.len());
    for (buffer, mapping) in staging.iter().zip(pending) {
        mapping.finished().await.map_err(|error| Error::DeviceLost(format!("results could not be read: {error}")))?;
        let view = buffer
            .slice(..)
            .get_mapped_range()
            .map_err(|error| Error::DeviceLost(format!("results could not be read: {error}")))?;
        values.push(bytemuck::pod_collect_to_vec(&view));
    }
    Ok(values)
}
