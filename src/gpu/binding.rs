//! What stands at the bindings of a dispatch, and what happens to it there.

use super::Gpu;
use super::allocation::Allocation;
use super::constant::{Constant, Memory};
use super::tensor::Tensor;
use super::uniforms::UniformBuffer;

/// What stands at a binding of a dispatch, in the order of the shader's bindings after its uniform block.
#[derive(Clone)]
pub(crate) struct Binding {
    pub(super) operand: Operand,
    pub(super) access: Access,
}

/// What a shader does to an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The shader does not look at the operand, with the dispatch's parameters.
    None,
    Read,
    /// Writes what nothing reads in the same dispatch.
    Write,
    /// Reads and writes.
    Update,
}

/// What a shader works on.
#[derive(Clone)]
pub(crate) enum Operand {
    Tensor(Tensor),
    Constant(Constant),
    /// A buffer or texture that others made.
    Foreign(Memory),
    /// The place of an operand that the shader does not look at.
    Nothing,
}

impl Binding {
    /// A binding that the shader does not look at with these parameters.
    pub(crate) const UNUSED: Self = Self { operand: Operand::Nothing, access: Access::None };

    pub(crate) fn read(operand: impl Into<Operand>) -> Self {
        Self { operand: operand.into(), access: Access::Read }
    }

    pub(crate) fn write(operand: impl Into<Operand>) -> Self {
        Self { operand: operand.into(), access: Access::Write }
    }

    /// What the shader reads and writes, so that a part of it survives.
    pub(crate) fn update(operand: impl Into<Operand>) -> Self {
        Self { operand: operand.into(), access: Access::Update }
    }

    /// The tensor that stands there.
    pub(super) fn tensor(&self) -> Option<Tensor> {
        match self.operand {
            Operand::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }
}

impl From<Tensor> for Operand {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl From<&Constant> for Operand {
    fn from(constant: &Constant) -> Self {
        Self::Constant(constant.clone())
    }
}

impl From<&wgpu::Buffer> for Operand {
    fn from(buffer: &wgpu::Buffer) -> Self {
        Self::Foreign(Memory::Buffer(buffer.clone()))
    }
}

impl From<&wgpu::TextureView> for Operand {
    fn from(texture: &wgpu::TextureView) -> Self {
        Self::Foreign(Memory::Texture(texture.clone()))
    }
}

/// The bind group of the dispatch `index`.
pub(super) fn bind_group(
    gpu: &Gpu,
    label: &str,
    pipeline: &wgpu::ComputePipeline,
    (uniforms, index): (&UniformBuffer, usize),
    bindings: &[Binding],
    allocation: &Allocation,
) -> wgpu::BindGroup {
    let block = wgpu::BindingResource::Buffer(uniforms.block(index));
    let operands = bindings.iter().map(|binding| match &binding.operand {
        Operand::Tensor(tensor) => allocation.binding(*tensor),
        Operand::Constant(constant) => whole(constant.memory().expect("a network runs once it is loaded")),
        Operand::Foreign(memory) => whole(memory),
        Operand::Nothing => gpu.unused.as_entire_binding(),
    });
    let entries: Vec<_> = std::iter::once(block)
        .chain(operands)
        .enumerate()
        .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
        .collect();
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some(label),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    })
}

fn whole(memory: &Memory) -> wgpu::BindingResource<'_> {
    match memory {
        Memory::Buffer(buffer) => buffer.as_entire_binding(),
        Memory::Texture(texture) => wgpu::BindingResource::TextureView(texture),
    }
}
