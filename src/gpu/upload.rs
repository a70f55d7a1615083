//! Constants on their way to the GPU.

use super::Gpu;
use crate::Result;

/// Copies a model's constants into storage buffers, holding no more than one staging window of them in host memory.
pub(crate) struct Uploader<'a> {
    gpu: &'a Gpu,
    staged: u64,
    total: u64,
}

/// Bytes handed to the queue before it is made to let go of its staging memory.
const WINDOW: u64 = 8 << 20;

impl<'a> Uploader<'a> {
    pub(crate) fn new(gpu: &'a Gpu) -> Self {
        Self { gpu, staged: 0, total: 0 }
    }

    /// Bytes of all buffers made so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    pub(crate) async fn buffer(&mut self, label: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let size = bytes.len() as u64;
        self.gpu.check_buffer(label, size)?;
        let buffer = self
            .gpu
            .guarded(label, || {
                self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            })
            .await?;
        for (index, window) in bytes.chunks(WINDOW as usize).enumerate() {
            let write = || self.gpu.queue.write_buffer(&buffer, index as u64 * WINDOW, window);
            self.gpu.guarded(label, write).await?;
            self.staged += window.len() as u64;
            if self.staged >= WINDOW {
                self.flush();
            }
        }
        self.total += size;
        Ok(buffer)
    }

    /// Waits until everything handed over so far has arrived. In a browser, which never lets a page wait, the queue
    /// only begins the copies.
    pub(crate) fn flush(&mut self) {
        self.gpu.queue.submit([]);
        // A lost device is reported by whatever is created or read next.
        let _ = self.gpu.device.poll(wgpu::PollType::wait_indefinitely());
        self.staged = 0;
    }
}
