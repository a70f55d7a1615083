//! Constants on their way to the GPU.

use super::constant::{Constant, Memory};
use super::{Gpu, row_texture};
use crate::Result;

/// Copies a model's constants into storage buffers and textures, holding no more than one staging window of them in
/// host memory.
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

    /// Bytes of everything made so far.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// A storage buffer with this contents.
    pub(crate) async fn buffer(&mut self, label: &str, bytes: &[u8]) -> Result<wgpu::Buffer> {
        let buffer = self.create_buffer(label, bytes.len() as u64).await?;
        self.write_buffer(label, &buffer, 0, bytes).await?;
        Ok(buffer)
    }

    /// Writes bytes of a constant from `offset` on, whole matrices where it is a texture. The first ones give it
    /// memory.
    pub(crate) async fn fill(&mut self, constant: &Constant, offset: u64, bytes: &[u8]) -> Result<()> {
        let label = constant.label();
        let memory = match constant.memory() {
            Some(memory) => memory.clone(),
            None => {
                let memory = match constant.texels() {
                    Some((size, texel)) => Memory::Texture(self.create_texture(label, size, texel).await?),
                    None => Memory::Buffer(self.create_buffer(label, constant.bytes()).await?),
                };
                constant.set_memory(memory.clone());
                memory
            }
        };
        match &memory {
            Memory::Buffer(buffer) => self.write_buffer(label, buffer, offset, bytes).await,
            Memory::Texture(texture) => {
                let [batch, depth, columns] = constant.shape();
                let first = offset / (constant.bytes() / u64::from(batch));
                self.write_texture(label, texture, first as u32, [depth, columns / 4], bytes).await
            }
        }
    }

    async fn create_buffer(&mut self, label: &str, size: u64) -> Result<wgpu::Buffer> {
        self.gpu.check_buffer(label, size)?;
        self.total += size;
        self.gpu.buffer(label, size, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST).await
    }

    async fn write_buffer(&mut self, label: &str, buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]) -> Result<()> {
        for (index, window) in bytes.chunks(WINDOW as usize).enumerate() {
            let write = || self.gpu.queue.write_buffer(buffer, offset + index as u64 * WINDOW, window);
            self.gpu.guarded(label, write).await?;
            self.handed_over(window.len());
        }
        Ok(())
    }

    /// Matrices `[layers][height][width]` of texels.
    async fn create_texture(
        &mut self,
        label: &str,
        size: wgpu::Extent3d,
        format: wgpu::TextureFormat,
    ) -> Result<wgpu::TextureView> {
        self.gpu.check_texture(label, size)?;
        let create = || row_texture::create(&self.gpu.device, label, size, format);
        let texture = self.gpu.guarded(label, create).await?;
        let texel_bytes = u64::from(format.block_copy_size(None).unwrap_or_default());
        self.total += texel_bytes * row_texture::texels(texture.size());
        Ok(row_texture::view(&texture))
    }

    /// Whole layers of `height` x `width` texels, from layer `first` on.
    async fn write_texture(
        &mut self,
        label: &str,
        texture: &wgpu::TextureView,
        first: u32,
        [height, width]: [u32; 2],
        bytes: &[u8],
    ) -> Result<()> {
        let texture = texture.texture();
        let row_bytes = width * texture.format().block_copy_size(None).unwrap_or_default();
        let window_rows = (WINDOW as u32 / row_bytes).clamp(1, height);
        for (layer, rows) in (first..).zip(bytes.chunks((row_bytes * height) as usize)) {
            for (window, y) in rows.chunks((row_bytes * window_rows) as usize).zip((0..).step_by(window_rows as usize))
            {
                let origin = wgpu::Origin3d { x: 0, y, z: layer };
                let target = wgpu::TexelCopyTextureInfo { origin, ..texture.as_image_copy() };
                let layout = wgpu::TexelCopyBufferLayout { bytes_per_row: Some(row_bytes), ..Default::default() };
                let extent =
                    wgpu::Extent3d { width, height: window.len() as u32 / row_bytes, depth_or_array_layers: 1 };
                let write = || self.gpu.queue.write_texture(target, window, layout, extent);
                self.gpu.guarded(label, write).await?;
                self.handed_over(window.len());
            }
        }
        Ok(())
    }

    fn handed_over(&mut self, bytes: usize) {
        self.staged += bytes as u64;
        if self.staged >= WINDOW {
            self.flush();
        }
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
