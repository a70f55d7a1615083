//! The memory of a network's tensors: those that are never alive together share it.

use super::arena::{self, Lifetime};
use super::constant::Memory;
use super::tensor::Tensor;
use super::{Gpu, row_texture};
use crate::Result;
use std::collections::BTreeMap;

/// What has to be known of a tensor to give it memory.
pub(super) struct Tenant {
    pub(super) label: String,
    pub(super) bytes: u64,
    /// Its size, when it is a texture and not a buffer.
    pub(super) texture: Option<wgpu::Extent3d>,
    /// Whether it holds right operands of matrix products.
    pub(super) matrices: bool,
    /// Steps at which it is first and last used; `None` until it is.
    pub(super) used: Option<(usize, usize)>,
    /// Read or written from outside the schedule: shares its memory with nothing.
    pub(super) external: bool,
    /// Handed from kernel to kernel inside an operation: no tensor of the network.
    pub(super) scratch: bool,
}

impl Tenant {
    fn lifetime(&self, steps: usize) -> Lifetime {
        let (first, last) = self.used.filter(|_| !self.external).unwrap_or((0, steps));
        Lifetime { first, last, bytes: self.bytes }
    }
}

/// The memory of every tensor.
pub(super) struct Allocation {
    /// For each tensor what holds it, and how many bytes of that are its own.
    places: Vec<(Memory, u64)>,
    /// What it is for.
    pub(super) bytes: super::Memory,
}

impl Allocation {
    /// Memory for the tensors of a network of so many steps.
    pub(super) async fn new(gpu: &Gpu, tensors: &[Tenant], steps: usize) -> Result<Self> {
        let unused = Memory::Buffer(gpu.unused.clone());
        let mut places: Vec<_> = tensors.iter().map(|tensor| (unused.clone(), tensor.bytes)).collect();
        let mut bytes = super::Memory::default();
        // A texture only takes the place of one of its kind and as wide, so that little of it is left over.
        let mut kinds = BTreeMap::<Option<(u32, bool)>, Vec<usize>>::new();
        for (id, tensor) in tensors.iter().enumerate() {
            let kind = tensor.texture.map(|size| (size.width, tensor.matrices));
            kinds.entry(kind).or_default().push(id);
        }
        for ids in kinds.into_values() {
            let plan = arena::plan(&ids.iter().map(|&id| tensors[id].lifetime(steps)).collect::<Vec<_>>());
            for (place, &size) in plan.place_bytes.iter().enumerate() {
                let here = (0..ids.len()).filter(|&index| plan.place_of[index] == place).map(|index| ids[index]);
                let here: Vec<usize> = here.collect();
                let tenants: Vec<&Tenant> = here.iter().map(|&id| &tensors[id]).collect();
                let (memory, size) = create_place(gpu, &tenants, size).await?;
                account(&mut bytes, &tenants, size);
                here.into_iter().for_each(|id| places[id].0 = memory.clone());
            }
        }
        Ok(Self { places, bytes })
    }

    /// The buffer of the tensor of this number, which is no texture.
    pub(super) fn buffer(&self, tensor: usize) -> &wgpu::Buffer {
        match &self.places[tensor].0 {
            Memory::Buffer(buffer) => buffer,
            Memory::Texture(_) => unreachable!("only kernels read and write row textures"),
        }
    }

    /// What holds a tensor.
    pub(super) fn memory(&self, tensor: Tensor) -> &Memory {
        &self.places[tensor.id].0
    }

    /// A tensor at a binding. A place may be larger than its present tenant, and then larger than a binding may be.
    pub(super) fn binding(&self, tensor: Tensor) -> wgpu::BindingResource<'_> {
        match &self.places[tensor.id] {
            (Memory::Buffer(buffer), bytes) => {
                let size = wgpu::BufferSize::new(*bytes);
                wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: 0, size })
            }
            (Memory::Texture(texture), _) => wgpu::BindingResource::TextureView(texture),
        }
    }
}

/// Adds a place of `size` bytes to what it is for.
fn account(bytes: &mut super::Memory, tenants: &[&Tenant], size: u64) {
    if tenants.iter().any(|tenant| tenant.external) {
        bytes.io += size;
        return;
    }
    let activations = tenants.iter().filter(|tenant| !tenant.scratch).map(|tenant| tenant.bytes).max().unwrap_or(0);
    bytes.activations += activations;
    bytes.scratch += size - activations;
}

/// A place of `size` bytes, or a texture as large as the largest of its tenants in every dimension, and its bytes.
async fn create_place(gpu: &Gpu, tenants: &[&Tenant], size: u64) -> Result<(Memory, u64)> {
    // Named after its largest tenant, so that an error names something the network's reader knows.
    let largest = tenants.iter().max_by_key(|tenant| tenant.bytes);
    let label = largest.map_or("activations", |tenant| &tenant.label);
    let Some(extent) = tenants.iter().filter_map(|tenant| tenant.texture).reduce(row_texture::larger) else {
        let create = || {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        return Ok((Memory::Buffer(gpu.guarded(label, create).await?), size));
    };
    let create = || row_texture::create(&gpu.device, label, extent, wgpu::TextureFormat::Rgba32Float);
    let texture = gpu.guarded(label, create).await?;
    Ok((Memory::Texture(row_texture::view(&texture)), row_texture::bytes(texture.size())))
}
