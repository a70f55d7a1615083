//! The network as it is being written down: tensors without memory and the dispatches between them.

use super::arena::{self, Lifetime};
use super::schedule::{Schedule, Stage, Step};
use super::{Gpu, Kernel};
use crate::{Error, Result};

/// An activation, channels last: `[batch][height][width][channels]`, f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    id: usize,
    pub batch: u32,
    pub height: u32,
    pub width: u32,
    pub channels: u32,
}

impl Tensor {
    /// Pixels of all images.
    pub(crate) fn pixels(&self) -> u32 {
        self.batch * self.height * self.width
    }

    pub(crate) fn bytes(&self) -> u64 {
        4 * u64::from(self.batch) * u64::from(self.height) * u64::from(self.width) * u64::from(self.channels)
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
    Constant(&'a wgpu::Buffer),
    Texture(&'a wgpu::TextureView),
}

struct TensorInfo {
    label: String,
    bytes: u64,
    /// Steps at which it is first and last used; `None` until it is.
    used: Option<(usize, usize)>,
    /// Read or written from outside the schedule: shares its memory with nothing.
    external: bool,
}

enum Operand {
    Tensor(usize),
    Constant(wgpu::Buffer),
    Texture(wgpu::TextureView),
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
    tensors: Vec<TensorInfo>,
    dispatches: Vec<Dispatch>,
    stages: Vec<(String, Slice)>,
}

impl<'a> Graph<'a> {
    pub(crate) fn new(gpu: &'a Gpu, keep_stages: bool) -> Self {
        Self { gpu, keep_stages, fence: 0, tensors: Vec::new(), dispatches: Vec::new(), stages: Vec::new() }
    }

    /// A graph that keeps its stages and has room behind each tensor, to see whether a kernel writes there.
    pub(crate) fn fenced(gpu: &'a Gpu, fence: u64) -> Self {
        Self { fence, ..Self::new(gpu, true) }
    }

    pub(crate) fn gpu(&self) -> &'a Gpu {
        self.gpu
    }

    /// The labels of all kernels.
    pub(crate) fn kernels(&self) -> Vec<String> {
        self.dispatches.iter().map(|dispatch| dispatch.kernel.label()).collect()
    }

    /// A tensor whose memory is shared with others that live at other times.
    pub(crate) fn tensor(&mut self, label: &str, [batch, height, width, channels]: [u32; 4]) -> Tensor {
        let tensor = Tensor { id: self.tensors.len(), batch, height, width, channels };
        let bytes = tensor.bytes() + self.fence;
        self.tensors.push(TensorInfo { label: label.to_owned(), bytes, used: None, external: false });
        tensor
    }

    /// A tensor that the outside writes before or reads after the schedule.
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
                Binding::Constant(buffer) => Operand::Constant((*buffer).clone()),
                Binding::Texture(view) => Operand::Texture((*view).clone()),
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
            Binding::Read(tensor) | Binding::Write(tensor) => tensor.bytes() / 4,
            Binding::Constant(_) | Binding::Texture(_) => 0,
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
            self.gpu.check_buffer(&tensor.label, tensor.bytes)?;
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
        let plan = arena::plan(&lifetimes);
        let places = self.create_places(&plan, &lifetimes).await?;
        let params = self.create_params().await?;

        let mut pipelines = Vec::with_capacity(self.dispatches.len());
        for dispatch in &self.dispatches {
            pipelines.push(self.gpu.pipeline(&dispatch.kernel).await?);
        }
        let steps = self
            .gpu
            .guarded("bind groups", || {
                let create = |(index, dispatch): (usize, &Dispatch)| {
                    let pipeline = pipelines[index].clone();
                    let bind_group = self.bind(index, dispatch, &pipeline, &params, &places, &plan.place_of);
                    let (label, workgroups, work) = (dispatch.label.clone(), dispatch.workgroups, dispatch.work);
                    Step { label, pipeline, bind_group, workgroups, work }
                };
                self.dispatches.iter().enumerate().map(create).collect()
            })
            .await?;
        let stages = self
            .stages
            .iter()
            .map(|(name, slice)| Stage {
                name: name.clone(),
                slice: *slice,
                buffer: places[plan.place_of[slice.tensor.id]].clone(),
            })
            .collect();
        let buffers = self.tensors.iter().enumerate();
        let external = buffers
            .filter(|(_, tensor)| tensor.external)
            .map(|(id, _)| (id, places[plan.place_of[id]].clone()))
            .collect();
        Ok(Schedule { steps, stages, external, bytes: plan.place_bytes.iter().sum() })
    }

    async fn create_places(&self, plan: &arena::Plan, lifetimes: &[Lifetime]) -> Result<Vec<wgpu::Buffer>> {
        let mut places = Vec::with_capacity(plan.place_bytes.len());
        for (place, &size) in plan.place_bytes.iter().enumerate() {
            // Named after its largest tenant, so that an error names something the network's reader knows.
            let tenants = (0..lifetimes.len()).filter(|&tensor| plan.place_of[tensor] == place);
            let largest = tenants.max_by_key(|&tensor| lifetimes[tensor].bytes);
            let label = largest.map_or("activations", |tensor| &self.tensors[tensor].label);
            let create = || {
                self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some(label),
                    size,
                    usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                })
            };
            places.push(self.gpu.guarded(label, create).await?);
        }
        Ok(places)
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

    fn bind(
        &self,
        index: usize,
        dispatch: &Dispatch,
        pipeline: &wgpu::ComputePipeline,
        params: &wgpu::Buffer,
        places: &[wgpu::Buffer],
        place_of: &[usize],
    ) -> wgpu::BindGroup {
        let whole = |buffer, offset, size| {
            wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) })
        };
        let block = whole(params, (index * PARAMS_STRIDE) as u64, PARAMS_STRIDE as u64);
        let operands = dispatch.operands.iter().map(|operand| match operand {
            Operand::Constant(buffer) => buffer.as_entire_binding(),
            Operand::Texture(view) => wgpu::BindingResource::TextureView(view),
            // A place may be larger than its present tenant, and then larger than a binding may be.
            Operand::Tensor(id) => whole(&places[place_of[*id]], 0, self.tensors[*id].bytes),
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
