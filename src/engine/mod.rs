//! The public face: [`Engine`] (a device and its pipelines) loads a [`Model`] (weights on the GPU), which opens a
//! [`Session`] (the memory and the recorded dispatches for a batch of images).

mod heat;
mod input;
mod job;
mod load;
mod model;
mod session;
#[cfg(not(target_arch = "wasm32"))]
mod throughput;
mod tune;

pub use heat::{HeatOutput, HeatStyle, HeatTarget, Paint};
pub use input::{BufferSource, Encoding, PhotographInput, TextureSource};
pub use job::Job;
pub use load::{LoadOptions, Precision, SharedBackbone};
pub use model::{Model, TracedStage};
pub use session::{Detection, Session};
pub use tune::TuningProgress;

use crate::Result;
use crate::gpu::{EngineOptions, Gpu, shaders};
use crate::probe::{self, KernelCheck};
use std::sync::Arc;

/// A device with the compute pipelines made on it; the start of everything.
#[derive(Clone)]
pub struct Engine {
    gpu: Arc<Gpu>,
}

/// How far [`Engine::with_progress`] is.
#[derive(Clone, Copy, Debug)]
pub struct PipelineProgress<'a> {
    /// Pipelines made.
    pub done: usize,
    /// Pipelines there will be.
    pub total: usize,
    /// The kernel being compiled; empty when all are.
    pub kernel: &'a str,
}

impl Engine {
    /// Takes the caller's device. It needs no feature and no more than WebGPU's default limits; before a device is made,
    /// [`required_features`](crate::gpu::required_features) and [`required_limits`](crate::gpu::required_limits) say what
    /// to ask for, and [`check_adapter`](crate::gpu::check_adapter) whether an adapter has it.
    ///
    /// Returns at once: pipelines are made when a session first needs them. [`Engine::with_progress`] makes them here.
    ///
    /// # Errors
    /// [`Error::Requirements`] names every limit of the device that is too small.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, options: EngineOptions) -> Result<Self> {
        Ok(Self { gpu: Arc::new(Gpu::new(device, queue, options)?) })
    }

    /// [`Engine::new`], and every pipeline a session can need, so that the first one opens without compiling anything.
    /// `on_progress` is told before each pipeline, and once at the end.
    ///
    /// # Errors
    /// As [`Engine::new`], and [`Error::Gpu`] or [`Error::DeviceLost`] that names the kernel the driver refuses.
    pub async fn with_progress(
        device: wgpu::Device,
        queue: wgpu::Queue,
        options: EngineOptions,
        mut on_progress: impl FnMut(PipelineProgress<'_>),
    ) -> Result<Self> {
        let engine = Self::new(device, queue, options)?;
        let kernels = shaders::kernels(&engine.gpu, &engine.gpu.tilings_in_use(), false);
        let total = kernels.len();
        for (done, kernel) in kernels.iter().enumerate() {
            on_progress(PipelineProgress { done, total, kernel: &kernel.label() });
            engine.gpu.pipeline(kernel).await?;
        }
        on_progress(PipelineProgress { done: total, total, kernel: "" });
        Ok(engine)
    }

    /// The device the engine was made with.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// The queue the engine was made with.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.gpu.queue
    }

    /// Tests every kernel on small cases with known answers: whether this device, driver and shader compiler compute what
    /// they should. Takes seconds at most. What fails is told by name in the checks.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn probe(&self) -> Result<Vec<KernelCheck>> {
        probe::run(&self.gpu).await
    }
}
