//! The network decided: every dispatch with its pipeline, bindings and memory, to be replayed image after image.

use super::shaders::Program;
use super::tensor::{Slice, Tensor};
use super::{Gpu, Kernel, Memory, read_buffers};
use crate::{Error, Result};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::time::Duration;

pub(crate) struct Step {
    pub label: String,
    pub kernel: Kernel,
    pub pipeline: wgpu::ComputePipeline,
    pub bind_group: wgpu::BindGroup,
    pub workgroups: [u32; 3],
    /// Arithmetic operations, estimated.
    pub work: u64,
    /// Bytes of everything it reads and writes, each counted once.
    pub bytes: u64,
    /// Whether it has to wait for earlier ones.
    pub waits: bool,
}

/// One dispatch of a session, as [`Session::steps`](crate::Session::steps) lists them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StepInfo {
    /// The layer it belongs to, and what it does there.
    pub label: String,
    /// Tells its pipeline from every other: the shader, its variant and its constants.
    pub kernel: String,
    /// Workgroups along each dimension.
    pub workgroups: [u32; 3],
    /// Multiply-adds or other arithmetic operations, estimated.
    pub operations: u64,
    /// Bytes of all tensors and weights that it reads and writes, each counted once, as if caches were perfect.
    pub bytes: u64,
    /// Whether it has to wait for earlier ones, because it touches what they touched: a barrier stands before it.
    pub waits: bool,
}

/// A named intermediate result that kept its memory.
pub(crate) struct Stage {
    pub name: String,
    pub slice: Slice,
    pub buffer: wgpu::Buffer,
}

pub(crate) struct Schedule {
    pub(super) steps: Vec<Step>,
    /// Tensors that are external or stages, with their labels.
    pub(super) external: HashMap<usize, (String, wgpu::Buffer)>,
    pub stages: Vec<Stage>,
    /// GPU memory of everything but constants.
    pub memory: Memory,
}

impl Schedule {
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The buffer of a tensor that is external or named a stage.
    pub(crate) fn buffer(&self, tensor: Tensor) -> &wgpu::Buffer {
        &self.external[&tensor.id].1
    }

    /// Writes all values of an external tensor, before what is submitted next.
    ///
    /// # Errors
    /// [`Error::Input`] for other than as many bytes as the tensor has.
    pub(crate) async fn write<T: bytemuck::NoUninit>(&self, gpu: &Gpu, tensor: Tensor, values: &[T]) -> Result<()> {
        let (label, buffer) = &self.external[&tensor.id];
        let bytes: &[u8] = bytemuck::cast_slice(values);
        ensure_as_many(label, "bytes", bytes.len() as u64, tensor.bytes())?;
        gpu.write(label, buffer, bytes).await
    }

    /// [`Schedule::write`] for each of some tensors.
    pub(crate) async fn write_each(&self, gpu: &Gpu, tensors: &[Tensor], values: &[Vec<f32>]) -> Result<()> {
        ensure_as_many("what a network is given", "tensors", values.len() as u64, tensors.len() as u64)?;
        for (tensor, values) in tensors.iter().zip(values) {
            self.write(gpu, *tensor, values).await?;
        }
        Ok(())
    }

    /// Its steps, in order.
    pub(crate) fn describe(&self) -> Vec<StepInfo> {
        let describe = |step: &Step| StepInfo {
            label: step.label.clone(),
            kernel: step.kernel.label(),
            workgroups: step.workgroups,
            operations: step.work,
            bytes: step.bytes,
            waits: step.waits,
        };
        self.steps.iter().map(describe).collect()
    }

    /// The programs of its pipelines, each once.
    pub(crate) fn programs(&self) -> Vec<Program> {
        let kernels: BTreeMap<String, &Kernel> =
            self.steps.iter().map(|step| (step.kernel.label(), &step.kernel)).collect();
        kernels.into_values().map(Kernel::program).collect()
    }

    /// Estimated operations of some of the steps.
    pub(crate) fn work(&self, steps: Range<usize>) -> u64 {
        self.steps[steps].iter().map(|step| step.work).sum()
    }

    /// Submits all steps.
    pub(crate) async fn submit(&self, gpu: &Gpu) -> Result<()> {
        self.submit_between(gpu, |_| {}, |_| {}).await
    }

    /// Submits all steps, what `before` records, and what `after` does, as several command buffers, so that no single
    /// one runs long enough for an operating system to think the device hung.
    pub(crate) async fn submit_between(
        &self,
        gpu: &Gpu,
        before: impl Fn(&mut wgpu::CommandEncoder),
        after: impl Fn(&mut wgpu::CommandEncoder),
    ) -> Result<()> {
        let mut first = 0;
        while first < self.len() {
            let end = self.end_of_command_buffer(first);
            let record = |encoder: &mut wgpu::CommandEncoder| {
                if first == 0 {
                    before(encoder);
                }
                self.record(encoder, first..end);
                if end == self.len() {
                    after(encoder);
                }
            };
            gpu.submit("pcsnet network", record).await?;
            first = end;
        }
        Ok(())
    }

    /// Where the command buffer that begins with a step ends: after some steps, or more that are little work.
    fn end_of_command_buffer(&self, first: usize) -> usize {
        const STEPS: usize = 16;
        const LITTLE: u64 = 1 << 31;
        let mut end = (first + STEPS).min(self.len());
        while end < self.len() && self.work(first..end + 1) <= LITTLE {
            end += 1;
        }
        end
    }

    /// Records some of the steps as one compute pass.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, steps: Range<usize>) {
        self.record_pass(encoder, steps, None);
    }

    fn record_pass(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        steps: Range<usize>,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
    ) {
        let descriptor = wgpu::ComputePassDescriptor { label: Some("pcsnet"), timestamp_writes };
        let mut pass = encoder.begin_compute_pass(&descriptor);
        for step in &self.steps[steps] {
            let [x, y, z] = step.workgroups;
            pass.push_debug_group(&step.label);
            pass.set_pipeline(&step.pipeline);
            pass.set_bind_group(0, &step.bind_group, &[]);
            pass.dispatch_workgroups(x, y, z);
            pass.pop_debug_group();
        }
    }

    /// Runs every step as a pass of its own and gives each step's label and time on the device.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device was made without `TIMESTAMP_QUERY`.
    pub(crate) async fn profile(&self, gpu: &Gpu) -> Result<Vec<(String, Duration)>> {
        if !gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            let reason = "the device was made without TIMESTAMP_QUERY".to_owned();
            return Err(Error::Gpu { what: "timing single steps".to_owned(), reason });
        }
        let mut times = Vec::with_capacity(self.steps.len());
        // Two timestamps a step, and a limit on those of one query set.
        const STEPS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;
        for first in (0..self.steps.len()).step_by(STEPS) {
            let steps = first..(first + STEPS).min(self.steps.len());
            let ticks = self.timestamps(gpu, steps.clone()).await?;
            let period = f64::from(gpu.queue.get_timestamp_period());
            let durations = ticks
                .chunks_exact(2)
                .map(|pair| Duration::from_nanos((pair[1].saturating_sub(pair[0]) as f64 * period) as u64));
            times.extend(self.steps[steps].iter().map(|step| step.label.clone()).zip(durations));
        }
        Ok(times)
    }

    /// Timestamps at the beginning and the end of each step.
    async fn timestamps(&self, gpu: &Gpu, steps: Range<usize>) -> Result<Vec<u64>> {
        let count = 2 * steps.len() as u32;
        let size = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let resolved = gpu
            .guarded("timestamps", || {
                let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                    label: Some("steps"),
                    ty: wgpu::QueryType::Timestamp,
                    count,
                });
                let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("timestamps"),
                    size,
                    usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                });
                let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                for (index, step) in (0..).zip(steps) {
                    let writes = wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(2 * index),
                        end_of_pass_write_index: Some(2 * index + 1),
                    };
                    self.record_pass(&mut encoder, step..step + 1, Some(writes));
                }
                encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
                gpu.queue.submit([encoder.finish()]);
                resolved
            })
            .await?;
        Ok(read_buffers(gpu, &[(&resolved, size)]).await?.remove(0))
    }
}

fn ensure_as_many(what: &str, unit: &str, found: u64, expected: u64) -> Result<()> {
    let [expected, found] = [expected, found].map(|count| format!("{count} {unit}"));
    if expected == found { Ok(()) } else { Err(Error::Input { what: what.to_owned(), expected, found }) }
}
