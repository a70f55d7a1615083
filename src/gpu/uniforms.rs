//! Shaders' uniform blocks: Rust's side of them, and all blocks of a network in one buffer.

use super::Gpu;
use crate::Result;

/// A struct that a shader has as its uniform block.
pub(crate) trait Uniforms: bytemuck::NoUninit {
    /// Its members as Rust lays them out, to be held against the shader's (`gpu/reflection.rs`).
    #[cfg(test)]
    const FIELDS: &'static [Field];
}

/// A member of a uniform block, in bytes.
#[cfg(test)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub name: &'static str,
    pub offset: usize,
    pub size: usize,
}

/// Declares a struct of 32-bit numbers with the memory layout of a shader's uniform block. Members whose names begin
/// with an underscore are padding.
macro_rules! uniforms {
    ($(#[$attribute:meta])* $visibility:vis struct $name:ident {
        $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$attribute])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, bytemuck::NoUninit)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type),*
        }

        impl $crate::gpu::Uniforms for $name {
            #[cfg(test)]
            const FIELDS: &'static [$crate::gpu::Field] = &[$($crate::gpu::Field {
                name: stringify!($field),
                offset: std::mem::offset_of!($name, $field),
                size: size_of::<$type>(),
            }),*];
        }
    };
}
pub(crate) use uniforms;

/// One dispatch's uniform block, as bytes.
pub(super) struct Block {
    bytes: Vec<u8>,
    #[cfg(test)]
    pub(super) fields: &'static [Field],
}

impl Block {
    pub(super) fn of<T: Uniforms>(params: &T) -> Self {
        Self {
            bytes: bytemuck::bytes_of(params).to_vec(),
            #[cfg(test)]
            fields: T::FIELDS,
        }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// The uniform blocks of all dispatches in one buffer.
pub(super) struct UniformBuffer {
    buffer: wgpu::Buffer,
    /// Where each block begins, and its size.
    places: Vec<(u64, u64)>,
}

impl UniformBuffer {
    pub(super) async fn new<'a>(gpu: &Gpu, blocks: impl Iterator<Item = &'a Block>) -> Result<Self> {
        let alignment = gpu.limits.min_uniform_buffer_offset_alignment as usize;
        let (mut contents, mut places) = (Vec::new(), Vec::new());
        for Block { bytes, .. } in blocks {
            places.push((contents.len() as u64, bytes.len() as u64));
            contents.extend(bytes);
            contents.resize(contents.len().next_multiple_of(alignment), 0);
        }
        // A buffer without bytes cannot be made.
        contents.resize(contents.len().max(alignment), 0);
        let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
        let buffer = gpu.buffer("parameters", contents.len() as u64, usage).await?;
        gpu.write("parameters", &buffer, &contents).await?;
        Ok(Self { buffer, places })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.buffer.size()
    }

    /// The block of one dispatch, in its true size.
    pub(super) fn block(&self, index: usize) -> wgpu::BufferBinding<'_> {
        let (offset, size) = self.places[index];
        wgpu::BufferBinding { buffer: &self.buffer, offset, size: wgpu::BufferSize::new(size) }
    }
}
