//! GPU buffers to host memory.

use super::Gpu;
use super::mapping::Mapping;
use crate::{Error, Result};

/// Host memory for results, which may be kept from one reading to the next.
pub(crate) struct Readback {
    staging: wgpu::Buffer,
}

impl Readback {
    /// Host memory for buffers of these many bytes together.
    pub(crate) async fn new(gpu: &Gpu, bytes: u64) -> Result<Self> {
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        Ok(Self { staging: gpu.buffer("read-back", bytes, usage).await? })
    }

    /// Reads whole buffers, which must have been created with `COPY_SRC`, and gives what `take` makes of their bytes,
    /// one buffer's after another's.
    ///
    /// Submits one copy and waits for it and for everything submitted before. After an error, and where the future is
    /// dropped before it ends, it is of no further use.
    pub(crate) async fn read<T>(
        &self,
        gpu: &Gpu,
        sources: &[(&wgpu::Buffer, u64)],
        take: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        gpu.submit("read-back", |encoder| {
            let mut end = 0;
            for &(source, size) in sources {
                encoder.copy_buffer_to_buffer(source, 0, &self.staging, end, size);
                end += size;
            }
        })
        .await?;
        // On a lost device buffers are created without any error and are invalid; here that shows.
        let mapping = gpu.guarded("read-back", || Mapping::begin(&self.staging)).await?;
        #[cfg(test)]
        gpu.calls.wait(&gpu.device);
        // Off the web this runs the callbacks; in a browser the event loop does.
        gpu.wait()?;
        let lost = |error: &dyn std::fmt::Display| Error::DeviceLost(format!("results could not be read: {error}"));
        mapping.finished().await.map_err(|error| lost(&error))?;
        let view = self.staging.slice(..).get_mapped_range().map_err(|error| lost(&error))?;
        let taken = take(&view);
        drop(view);
        self.staging.unmap();
        Ok(taken)
    }
}

/// Reads whole buffers of values of one type once, as [`Readback::read`] does.
pub(crate) async fn read_buffers<T: bytemuck::AnyBitPattern + bytemuck::NoUninit>(
    gpu: &Gpu,
    sources: &[(&wgpu::Buffer, u64)],
) -> Result<Vec<Vec<T>>> {
    let readback = Readback::new(gpu, sources.iter().map(|(_, size)| size).sum()).await?;
    let split = |bytes: &[u8]| {
        let mut rest = bytes;
        let mut values = Vec::with_capacity(sources.len());
        for &(_, size) in sources {
            let (own, others) = rest.split_at(size as usize);
            values.push(bytemuck::pod_collect_to_vec(own));
            rest = others;
        }
        values
    };
    readback.read(gpu, sources, split).await
}
