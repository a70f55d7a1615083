//! The network as it is being written down: tensors without memory and the dispatches between them.

use super::arena::{self, Lifetime};
use super::constant::{Constant, Memory};
use super::row_texture;
use super::schedule::{Schedule, Stage, Step};
use super::tuning::Layer;
use super::{Format, Gpu, Kernel, Tiling, Winograd};
use crate::{Error, Result};
use std::collections::BTreeMap;

/// An activation, channels last: `[batch][height][width][channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    id: usize,
    pub batch: u32,
    pub height: u32,
    pub width: u32,
    pub channels: u32,
    pub format: Format,
}

impl Tensor {
    /// Pixels of all images.
    pub(crate) fn pixels(&self) -> u32 {
        self.batch * self.height * self.width
    }

    /// Values of all pixels.
    pub(crate) fn values(&self) -> u64 {
        u64::from(self.batch) * u64::from(self.height) * u64::from(self.width) * u64::from(self.channels)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.format.bytes_per_value() * self.values()
    }

    pub(crate) fn is_f16(&self) -> bool {
        self.format.is_f16()
    }

    /// All pixels and channels, as an operand.
    pub(crate) fn all(self) -> Slice {
        Slice { tensor: self, first: 0, rows: self.pixels(), channels: self.channels }
    }

    /// `channels` channels of all pixels, from `first` on.
    pub(crate) fn channel_range(self, first: u32, channels: u32) -> Slice {
        debug_assert!(first.is_multiple_of(4) && first + channels <= self.channels);
        Slice { tensor: self, first, rows: self.pixels(), channels }
    }

    /// All channels of `rows` pixels, from pixel `first` on.
    pub(crate) fn row_range(self, first: u32, rows: u32) -> Slice {
        debug_assert!(first + rows <= self.pixels());
        Slice { tensor: self, first: first * self.channels, rows, channels: self.channels }
    }
}

/// Some pixels or channels of a tensor: a matrix of `rows` x `channels` with the tensor's row stride.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub tensor: Tensor,
    /// Element at which the first row begins.
    pub first: u32,
    pub rows: u32,
    pub channels: u32,
}

impl Slice {
    /// Elements from one row to the next.
    pub(crate) fn stride(&self) -> u32 {
        self.tensor.channels
    }
}

/// What stands at a binding of a dispatch, in the order of the shader's bindings after the parameters.
pub(crate) enum Binding<'a> {
    Read(Tensor),
    Write(Tensor),
    Constant(&'a Constant),
    /// A buffer that others made.
    Buffer(&'a wgpu::Buffer),
    /// A texture that others made.
    Texture(&'a wgpu::TextureView),
    /// A buffer the shader does not look at with these parameters.
    Unused,
}

struct TensorInfo {
    label: String,
    bytes: u64,
    /// Its size, when it is a texture and not a buffer.
    texture: Option<wgpu::Extent3d>,
    /// Whether it holds right operands of matrix products.
    matrices: bool,
    /// Steps at which it is first and last used; `None` until it is.
    used: Option<(usize, usize)>,
    /// Read or written from outside the schedule: shares its memory with nothing.
    external: bool,
    /// Handed from kernel to kernel inside an operation: no tensor of the network.
    scratch: bool,
}

enum Operand {
    Tensor(usize),
    Constant(Constant),
    Foreign(Memory),
}

struct Dispatch {
    label: String,
    kernel: Kernel,
    params: Vec<u8>,
    operands: Vec<Operand>,
    workgroups: [u32; 3],
    work: u64,
}

/// Distance between parameter blocks in the one uniform buffer: WebGPU's largest offset alignment.
const PARAMS_STRIDE: usize = 256;

/// Collects dispatches; [`Graph::finish`] then decides all memory at once.
pub(crate) struct Graph<'a> {
    gpu: &'a Gpu,
    /// Whether stages keep their memory so that they can be read afterwards.
    keep_stages: bool,
    /// Bytes bound behind every tensor that nothing may touch; only known-answer tests have any.
    fence: u64,
    /// Tiles all matrix products alike; only measurements and tests ask for it.
    tiling: Option<Tiling>,
    layers: Vec<Layer>,
    /// How activations are stored that need not be f32.
    activations: Format,
    tensors: Vec<TensorInfo>,
    dispatches: Vec<Dispatch>,
    stages: Vec<(String, Slice)>,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(gpu: &'a Gpu, keep_stages: bool) -> Self {
        Self {
            gpu,
            keep_stages,
            fence: 0,
            tiling: None,
            layers: Vec::new(),
            activations: Format::F32,
            tensors: Vec::new(),
            dispatches: Vec::new(),
            stages: Vec::new(),
        }
    }

    /// The same graph for a network whose activations are stored so.
    pub(crate) fn storing(self, activations: Format) -> Self {
        Self { activations, ..self }
    }

    /// A graph that keeps its stages and has room behind each tensor, to see whether a kernel writes there.
    pub(crate) fn fenced(gpu: &'a Gpu, fence: u64) -> Self {
        Self { fence, ..Self::new(gpu, true) }
    }

    /// The graph with all its matrix products tiled so.
    pub(crate) fn tiled(self, tiling: Tiling) -> Self {
        Self { tiling: Some(tiling), ..self }
    }

    pub(crate) fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// How to tile the product of a layer, which is noted.
    pub(crate) fn tiling(&mut self, layer: &Layer, winograd: Option<Winograd>) -> Tiling {
        self.layers.push(*layer);
        self.tiling.unwrap_or_else(|| self.gpu.tiling(layer, winograd))
    }

    /// The layers of all matrix products so far.
    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The labels of all kernels.
    pub(crate) fn kernels(&self) -> Vec<String> {
        self.dispatches.iter().map(|dispatch| dispatch.kernel.label()).collect()
    }

    /// How to store activations that need not be f32.
    pub(crate) fn activations(&self) -> Format {
        self.activations
    }

    /// A tensor of f32 whose memory is shared with others that live at other times.
    pub(crate) fn tensor(&mut self, label: &str, shape: [u32; 4]) -> Tensor {
        self.tensor_as(Format::F32, label, shape)
    }

    /// A tensor as [`Graph::tensor`] makes it, in a format.
    pub(crate) fn tensor_as(
        &mut self,
        format: Format,
        label: &str,
        [batch, height, width, channels]: [u32; 4],
    ) -> Tensor {
        let tensor = Tensor { id: self.tensors.len(), batch, height, width, channels, format };
        let bytes = tensor.bytes() + self.fence;
        self.tensors.push(TensorInfo {
            label: label.to_owned(),
            bytes,
            texture: None,
            matrices: false,
            used: None,
            external: false,
            scratch: false,
        });
        tensor
    }

    /// A tensor of f32 that kernels of one operation hand to one another.
    pub(crate) fn scratch(&mut self, label: &str, shape: [u32; 4]) -> Tensor {
        self.scratch_as(Format::F32, label, shape)
    }

    /// A tensor as [`Graph::scratch`] makes it, in a format.
    pub(crate) fn scratch_as(&mut self, format: Format, label: &str, shape: [u32; 4]) -> Tensor {
        let tensor = self.tensor_as(format, label, shape);
        self.tensors[tensor.id].scratch = true;
        tensor
    }

    /// The left operands `[matrices][rows][channels]` of matrix products: a row texture (`shaders/shared/row_texture.wgsl`)
    /// of f32 where the device's kernel multiplies textures, otherwise a tensor like any other.
    pub(crate) fn rows(&mut self, format: Format, label: &str, [matrices, rows, channels]: [u32; 3]) -> Tensor {
        let shape = [matrices, rows, 1, channels];
        if !self.gpu.matmul.reads_textures() {
            return self.scratch_as(format, label, shape);
        }
        let tensor = self.scratch(label, shape);
        let size = row_texture::size(matrices, rows, channels);
        let info = &mut self.tensors[tensor.id];
        info.texture = Some(size);
        info.bytes = row_texture::bytes(size);
        tensor
    }

    /// Right operands `[matrices][depth][columns]` of matrix products: a texture where the device's kernel multiplies
    /// textures, a layer a matrix, otherwise a tensor like any other.
    pub(crate) fn matrices(&mut self, label: &str, [matrices, depth, columns]: [u32; 3]) -> Tensor {
        let tensor = self.scratch(label, [matrices, depth, 1, columns]);
        let info = &mut self.tensors[tensor.id];
        info.matrices = true;
        if self.gpu.matmul.reads_textures() {
            let size = row_texture::layers([matrices, depth, columns]);
            info.texture = Some(size);
            info.bytes = row_texture::bytes(size);
        }
        tensor
    }

    /// Whether a tensor is a texture.
    pub(crate) fn is_texture(&self, tensor: Tensor) -> bool {
        self.tensors[tensor.id].texture.is_some()
    }

    /// A tensor of f32 that the outside writes before or reads after the schedule.
    pub(crate) fn external(&mut self, label: &str, shape: [u32; 4]) -> Tensor {
        let tensor = self.tensor(label, shape);
        self.tensors[tensor.id].external = true;
        tensor
    }

    /// Names an intermediate result, for comparison with other implementations.
    pub(crate) fn stage(&mut self, name: &str, slice: Slice) {
        if self.keep_stages {
            self.tensors[slice.tensor.id].external = true;
            self.stages.push((name.to_owned(), slice));
        }
    }

    /// Appends a dispatch. `params` is the shader's uniform block.
    pub(crate) fn dispatch(
        &mut self,
        label: &str,
        kernel: Kernel,
        params: &impl bytemuck::NoUninit,
        bindings: &[Binding<'_>],
        workgroups: [u32; 3],
    ) {
        let step = self.dispatches.len();
        let operands = bindings
            .iter()
            .map(|binding| match binding {
                Binding::Constant(constant) => Operand::Constant((*constant).clone()),
                Binding::Buffer(buffer) => Operand::Foreign(Memory::Buffer((*buffer).clone())),
                Binding::Texture(texture) => Operand::Foreign(Memory::Texture((*texture).clone())),
                Binding::Unused => Operand::Foreign(Memory::Buffer(self.gpu.unused.clone())),
                Binding::Read(tensor) | Binding::Write(tensor) => {
                    let used = &mut self.tensors[tensor.id].used;
                    *used = Some(used.map_or((step, step), |(first, _)| (first, step)));
                    Operand::Tensor(tensor.id)
                }
            })
            .collect();
        let params = bytemuck::bytes_of(params).to_vec();
        assert!(params.len() <= PARAMS_STRIDE, "{label}: parameters of {} bytes", params.len());
        let touched = bindings.iter().map(|binding| match binding {
            Binding::Read(tensor) | Binding::Write(tensor) => tensor.values(),
            Binding::Constant(_) | Binding::Buffer(_) | Binding::Texture(_) | Binding::Unused => 0,
        });
        let work = touched.sum();
        self.dispatches.push(Dispatch { label: label.to_owned(), kernel, params, operands, workgroups, work });
    }

    /// States the arithmetic operations of the last dispatch, where they are more than one for each value it touches.
    pub(crate) fn estimate(&mut self, operations: u64) {
        if let Some(last) = self.dispatches.last_mut() {
            last.work = last.work.max(operations);
        }
    }

    /// Checks what has been written down against the device's limits.
    pub(crate) fn check(&self) -> Result<()> {
        for tensor in &self.tensors {
            match tensor.texture {
                Some(size) => self.gpu.check_texture(&tensor.label, size)?,
                None => self.gpu.check_buffer(&tensor.label, tensor.bytes)?,
            }
        }
        let available = self.gpu.limits.max_compute_workgroups_per_dimension;
        for dispatch in &self.dispatches {
            if let Some(&required) = dispatch.workgroups.iter().find(|&&count| count > available) {
                return Err(Error::Limit {
                    what: dispatch.label.clone(),
                    limit: "max_compute_workgroups_per_dimension",
                    required: required.into(),
                    available: available.into(),
                });
            }
        }
        Ok(())
    }

    /// Gives every tensor memory and every dispatch its pipeline and bindings.
    pub(crate) async fn finish(self) -> Result<Schedule> {
        self.check()?;
        let end = self.dispatches.len();
        let lifetimes: Vec<Lifetime> = self
            .tensors
            .iter()
            .map(|tensor| match tensor.used {
                Some((first, last)) if !tensor.external => Lifetime { first, last, bytes: tensor.bytes },
                _ => Lifetime { first: 0, last: end, bytes: tensor.bytes },
            })
            .collect();
        let (memory, mut bytes) = self.create_memory(&lifetimes).await?;
        let params = self.create_params().await?;
        bytes.scratch += params.size();

        let mut pipelines = Vec::with_capacity(self.dispatches.len());
        for dispatch in &self.dispatches {
            pipelines.push(self.gpu.pipeline(&dispatch.kernel).await?);
        }
        let steps = self
            .gpu
            .guarded("bind groups", || {
                let create = |(index, dispatch): (usize, &Dispatch)| {
                    let pipeline = pipelines[index].clone();
                    let bind_group = self.bind(index, dispatch, &pipeline, &params, &memory);
                    let (label, workgroups, work) = (dispatch.label.clone(), dispatch.workgroups, dispatch.work);
                    Step { label, pipeline, bind_group, workgroups, work }
                };
                self.dispatches.iter().enumerate().map(create).collect()
            })
            .await?;
        let buffer = |id: usize| match &memory[id] {
            Memory::Buffer(buffer) => buffer.clone(),
            Memory::Texture(_) => unreachable!("only kernels read and write row textures"),
        };
        let stages = self
            .stages
            .iter()
            .map(|(name, slice)| Stage { name: name.clone(), slice: *slice, buffer: buffer(slice.tensor.id) })
            .collect();
        let external =
            (0..self.tensors.len()).filter(|&id| self.tensors[id].external).map(|id| (id, buffer(id))).collect();
        Ok(Schedule { steps, stages, external, memory: bytes })
    }

    /// The memory of every tensor, and the bytes of all.
    async fn create_memory(&self, lifetimes: &[Lifetime]) -> Result<(Vec<Memory>, super::Memory)> {
        let mut memory = vec![Memory::Buffer(self.gpu.unused.clone()); self.tensors.len()];
        let mut bytes = super::Memory::default();
        // A texture only takes the place of one of its kind and as wide, so that little of it is left over.
        let mut kinds = BTreeMap::<Option<(u32, bool)>, Vec<usize>>::new();
        for (id, tensor) in self.tensors.iter().enumerate() {
            let kind = tensor.texture.map(|size| (size.width, tensor.matrices));
            kinds.entry(kind).or_default().push(id);
        }
        for ids in kinds.into_values() {
            let plan = arena::plan(&ids.iter().map(|&id| lifetimes[id]).collect::<Vec<_>>());
            for (place, &size) in plan.place_bytes.iter().enumerate() {
                let of_place = |index: &usize| plan.place_of[*index] == place;
                let tenants: Vec<usize> = (0..ids.len()).filter(of_place).map(|index| ids[index]).collect();
                let (created, size) = self.create_place(&tenants, size).await?;
                self.account(&mut bytes, &tenants, size);
                for id in tenants {
                    memory[id] = created.clone();
                }
            }
        }
        Ok((memory, bytes))
    }

    /// Adds a place of `size` bytes to what it is for.
    fn account(&self, bytes: &mut super::Memory, tenants: &[usize], size: u64) {
        let tenants = || tenants.iter().map(|&id| &self.tensors[id]);
        if tenants().any(|tensor| tensor.external) {
            bytes.io += size;
            return;
        }
        let activations = tenants().filter(|tensor| !tensor.scratch).map(|tensor| tensor.bytes).max().unwrap_or(0);
        bytes.activations += activations;
        bytes.scratch += size - activations;
    }

    /// A place of `size` bytes, or a texture as large as the largest of its tenants in every dimension, and its bytes.
    async fn create_place(&self, tenants: &[usize], size: u64) -> Result<(Memory, u64)> {
        // Named after its largest tenant, so that an error names something the network's reader knows.
        let largest = tenants.iter().max_by_key(|&&id| self.tensors[id].bytes);
        let label = largest.map_or("activations", |&id| &self.tensors[id].label);
        let extents = tenants.iter().filter_map(|&id| self.tensors[id].texture);
        let Some(extent) = extents.reduce(row_texture::larger) else {
            let create = || {
                self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            return Ok((Memory::Buffer(self.gpu.guarded(label, create).await?), size));
        };
        let create = || row_texture::create(&self.gpu.device, label, extent, wgpu::TextureFormat::Rgba32Float);
        let texture = self.gpu.guarded(label, create).await?;
        Ok((Memory::Texture(row_texture::view(&texture)), row_texture::bytes(texture.size())))
    }

    /// All parameter blocks in one uniform buffer.
    async fn create_params(&self) -> Result<wgpu::Buffer> {
        let mut contents = vec![0; PARAMS_STRIDE * self.dispatches.len().max(1)];
        for (block, dispatch) in contents.chunks_mut(PARAMS_STRIDE).zip(&self.dispatches) {
            block[..dispatch.params.len()].copy_from_slice(&dispatch.params);
        }
        self.gpu
            .guarded("parameters", || {
                let buffer = self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("parameters"),
                    size: contents.len() as u64,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                self.gpu.queue.write_buffer(&buffer, 0, &contents);
                buffer
            })
            .await
    }

    fn bind<'b>(
        &self,
        index: usize,
        dispatch: &'b Dispatch,
        pipeline: &wgpu::ComputePipeline,
        params: &'b wgpu::Buffer,
        memory: &'b [Memory],
    ) -> wgpu::BindGroup {
        let part = |buffer, offset, size| {
            let size = wgpu::BufferSize::new(size);
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
        };
        let block = part(params, (index * PARAMS_STRIDE) as u64, PARAMS_STRIDE as u64);
        let whole = |memory: &'b Memory| match memory {
            Memory::Buffer(buffer) => buffer.as_entire_binding(),
            Memory::Texture(texture) => wgpu::BindingResource::TextureView(texture),
        };
        let operands = dispatch.operands.iter().map(|operand| match operand {
            Operand::Constant(constant) => whole(constant.memory().expect("a network runs once it is loaded")),
            Operand::Foreign(memory) => whole(memory),
            Operand::Tensor(id) => match &memory[*id] {
                // A place may be larger than its present tenant, and then larger than a binding may be.
                Memory::Buffer(buffer) => part(buffer, 0, self.tensors[*id].bytes),
                Memory::Texture(texture) => wgpu::BindingResource::TextureView(texture),
            },
        });
        let entries: Vec<_> = std::iter::once(block)
            .chain(operands)
            .enumerate()
            .map(|(binding, resource)| wgpu::BindGroupEntry { binding: binding as u32, resource })
            .collect();
        self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&dispatch.label),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        })
    }
}

impl Schedule {
    /// The buffer of a tensor made with [`Graph::external`] or named a stage.
    pub(crate) fn buffer(&self, tensor: Tensor) -> &wgpu::Buffer {
        &self.external[&tensor.id]
    }
}
