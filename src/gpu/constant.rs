//! Constants: declared when the network is described, filled when it is loaded.

use super::{Format, row_texture};
use std::sync::{Arc, OnceLock};

/// Matrices `[batch][depth][columns]` of constants that kernels read, in a buffer or a texture. Clones are the same
/// constant.
#[derive(Clone)]
pub(crate) struct Constant(Arc<Declared>);

struct Declared {
    label: String,
    shape: [u32; 3],
    format: Format,
    is_texture: bool,
    memory: OnceLock<Memory>,
}

/// What holds a tensor or a constant on the GPU.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) enum Memory {
    Buffer(wgpu::Buffer),
    Texture(wgpu::TextureView),
}

impl Constant {
    /// A constant that will stand in a buffer.
    pub(crate) fn buffer(label: String, shape: [u32; 3], format: Format) -> Self {
        Self::new(label, shape, format, false)
    }

    /// A constant that will stand in a texture: a layer a matrix, four columns a texel.
    pub(crate) fn texture(label: String, shape: [u32; 3], format: Format) -> Self {
        Self::new(label, shape, format, true)
    }

    fn new(label: String, shape: [u32; 3], format: Format, is_texture: bool) -> Self {
        Self(Arc::new(Declared { label, shape, format, is_texture, memory: OnceLock::new() }))
    }

    pub(crate) fn label(&self) -> &str {
        &self.0.label
    }

    /// Batch, depth, columns.
    pub(crate) fn shape(&self) -> [u32; 3] {
        self.0.shape
    }

    pub(crate) fn format(&self) -> Format {
        self.0.format
    }

    /// Values of all its matrices.
    pub(crate) fn values(&self) -> u64 {
        self.0.shape.map(u64::from).iter().product()
    }

    /// Its bytes in a buffer.
    pub(super) fn bytes(&self) -> u64 {
        self.0.format.bytes_per_value() * self.values()
    }

    /// The size and texels of its texture, where it is one.
    pub(super) fn texels(&self) -> Option<(wgpu::Extent3d, wgpu::TextureFormat)> {
        let texel = match self.0.format {
            Format::F32 => wgpu::TextureFormat::Rgba32Float,
            Format::F16 => wgpu::TextureFormat::Rgba16Float,
        };
        self.0.is_texture.then(|| (row_texture::layers(self.0.shape), texel))
    }

    /// What holds it, once it was loaded.
    pub(super) fn memory(&self) -> Option<&Memory> {
        self.0.memory.get()
    }

    /// Gives it memory, which it must not have yet.
    pub(super) fn set_memory(&self, memory: Memory) {
        let unset = self.0.memory.set(memory);
        debug_assert!(unset.is_ok(), "{} is loaded once", self.0.label);
    }
}
