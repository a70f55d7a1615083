//! The network as it is being written down: tensors without memory and the dispatches between them.

use super::allocation::{Allocation, Tenant};
use super::binding::{self, Access, Binding};
use super::schedule::{Schedule, Stage, Step};
use super::tensor::{Slice, Tensor};
use super::tuning::Layer;
use super::uniforms::{Block, UniformBuffer, Uniforms};
use super::{Factors, Format, Gpu, Kernel, Tiling, Winograd, traffic};
use crate::{Error, Result};
use std::fmt::Debug;

struct Dispatch {
    label: String,
    kernel: Kernel,
    uniforms: Block,
    bindings: Vec<Binding>,
    workgroups: [u32; 3],
    work: u64,
}

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
    /// As what the factors of products are multiplied that are stored as f16.
    factors: Format,
    tensors: Vec<Tenant>,
    dispatches: Vec<Dispatch>,
    stages: Vec<(String, Slice)>,
    /// What is wrong with what was written down, if anything is.
    fault: Option<Fault>,
}

/// Two things that should fit one another.
struct Fault {
    what: String,
    expected: String,
    found: String,
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
            factors: Format::F32,
            tensors: Vec::new(),
            dispatches: Vec::new(),
            stages: Vec::new(),
            fault: None,
        }
    }

    /// The graph for a network whose activations are stored in another format.
    pub(crate) fn storing(self, activations: Format) -> Self {
        Self { activations, ..self }
    }

    /// The graph for a network that multiplies as another format what it stores as f16.
    pub(crate) fn multiplying(self, factors: Format) -> Self {
        Self { factors, ..self }
    }

    /// How values and weights of these formats may be multiplied.
    pub(crate) fn factors(&self, values: Format, weights: Format) -> Factors {
        match (values, weights) {
            (Format::F16, Format::F16) if self.factors.is_f16() => Factors::HalfSums,
            (Format::F16, Format::F16) => Factors::Half,
            _ => Factors::F32,
        }
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

    /// The kernels of all dispatches.
    pub(crate) fn kernels(&self) -> impl Iterator<Item = &Kernel> {
        self.dispatches.iter().map(|dispatch| &dispatch.kernel)
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
        self.tensors.push(Tenant {
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

    /// Whether a tensor is a texture.
    pub(crate) fn is_texture(&self, tensor: Tensor) -> bool {
        self.tensors[tensor.id].texture.is_some()
    }

    /// A tensor of f32 that the outside writes before or reads after the schedule.
    pub(crate) fn external(&mut self, label: &str, shape: [u32; 4]) -> Tensor {
        self.external_as(Format::F32, label, shape)
    }

    /// A tensor as [`Graph::external`] makes it, in a format.
    pub(crate) fn external_as(&mut self, format: Format, label: &str, shape: [u32; 4]) -> Tensor {
        let tensor = self.tensor_as(format, label, shape);
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

    /// What is to be known of a tensor's memory.
    pub(super) fn tenant(&mut self, tensor: Tensor) -> &mut Tenant {
        &mut self.tensors[tensor.id]
    }

    /// Notes where shapes do not fit one another; [`Graph::check`] tells it.
    pub(crate) fn ensure_equal<T: PartialEq + Debug>(&mut self, what: &str, found: T, expected: T) {
        if found != expected {
            self.fail(what, &expected, &found);
        }
    }

    /// Notes where a slice reaches beyond its tensor; [`Graph::check`] tells it.
    pub(crate) fn ensure_inside(&mut self, what: &str, slice: Slice) {
        let Slice { tensor, first, rows, channels } = slice;
        let (row, channel) = (first / tensor.channels, first % tensor.channels);
        if row + rows > tensor.pixels() || channel + channels > tensor.channels || !channel.is_multiple_of(4) {
            self.fail(what, &format!("a part of {tensor:?}"), &slice);
        }
    }

    fn fail(&mut self, what: &str, expected: &dyn Debug, found: &dyn Debug) {
        let fault = || Fault { what: what.to_owned(), expected: format!("{expected:?}"), found: format!("{found:?}") };
        self.fault.get_or_insert_with(fault);
    }

    /// Appends a dispatch. `params` is the shader's uniform block.
    pub(crate) fn dispatch(
        &mut self,
        label: &str,
        kernel: Kernel,
        params: &impl Uniforms,
        bindings: impl Into<Vec<Binding>>,
        workgroups: [u32; 3],
    ) {
        let (step, bindings) = (self.dispatches.len(), bindings.into());
        let mut work = 0;
        for (tensor, access) in bindings.iter().filter_map(|binding| Some((binding.tensor()?, binding.access))) {
            work += tensor.values();
            let tenant = &mut self.tensors[tensor.id];
            let is_empty = tenant.used.is_none() && !tenant.external;
            let (first, _) = *tenant.used.get_or_insert((step, step));
            tenant.used = Some((first, step));
            if is_empty && access != Access::Write {
                self.fail(&format!("{label}, tensor {}", tensor.id), &"something written before", &"nothing");
            }
        }
        let (label, uniforms) = (label.to_owned(), Block::of(params));
        self.dispatches.push(Dispatch { label, kernel, uniforms, bindings, workgroups, work });
    }

    /// States the arithmetic operations of the last dispatch, where they are more than one for each value it touches.
    pub(crate) fn estimate(&mut self, operations: u64) {
        if let Some(last) = self.dispatches.last_mut() {
            last.work = last.work.max(operations);
        }
    }

    /// Checks that what has been written down fits together and the device's limits.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(Fault { what, expected, found }) = &self.fault {
            let [what, expected, found] = [what, expected, found].map(Clone::clone);
            return Err(Error::Input { what, expected, found });
        }
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
        #[cfg(test)]
        for Dispatch { label, kernel, uniforms, bindings, .. } in &self.dispatches {
            super::reflection::check(label, kernel, uniforms, bindings);
        }
        let allocation = Allocation::new(self.gpu, &self.tensors, self.dispatches.len()).await?;
        let uniforms = UniformBuffer::new(self.gpu, self.dispatches.iter().map(|dispatch| &dispatch.uniforms)).await?;
        let mut pipelines = Vec::with_capacity(self.dispatches.len());
        for dispatch in &self.dispatches {
            pipelines.push(self.gpu.pipeline(&dispatch.kernel).await?);
        }
        let external = (0..self.tensors.len()).filter(|&id| self.tensors[id].external);
        let external =
            external.map(|id| (id, (self.tensors[id].label.clone(), allocation.buffer(id).clone()))).collect();
        let stage = |(name, slice): (String, Slice)| {
            let buffer = allocation.buffer(slice.tensor.id).clone();
            Stage { name, slice, buffer }
        };
        let stages = self.stages.into_iter().map(stage).collect();
        let mut memory = allocation.bytes;
        memory.scratch += uniforms.bytes();
        let waits = traffic::waits(self.dispatches.iter().map(|dispatch| &dispatch.bindings[..]), &allocation);
        let create = || {
            let step = |(index, (dispatch, pipeline)): (usize, (Dispatch, wgpu::ComputePipeline))| {
                let Dispatch { label, kernel, bindings, workgroups, work, .. } = dispatch;
                let place = (&uniforms, index);
                let bind_group = binding::bind_group(self.gpu, &label, &pipeline, place, &bindings, &allocation);
                let (bytes, waits) = (traffic::bytes(&bindings), waits[index]);
                Step { label, kernel, pipeline, bind_group, workgroups, work, bytes, waits }
            };
            self.dispatches.into_iter().zip(pipelines).enumerate().map(step).collect()
        };
        let steps = self.gpu.guarded("bind groups", create).await?;
        Ok(Schedule { steps, stages, external, memory })
    }
}
