//! The public face: [`Engine`] (a device and its pipelines) loads a [`Model`] (weights on the GPU), which opens a
//! [`Session`] (the memory and the recorded dispatches for a batch of images).

#[cfg(test)]
mod failing_device;
mod heat;
mod input;
mod job;
mod load;
mod model;
mod options;
pub(crate) mod session;
mod trace;

pub(crate) use heat::HeatParams;
pub use heat::{HeatOutput, HeatStyle, HeatTarget, Paint};
pub(crate) use input::read_texture;
pub use input::{BufferSource, Encoding, PhotographInput, TextureSource};
pub use job::Job;
pub use model::{Model, SharedBackbone};
pub use options::{LoadOptions, Precision};
pub use session::{Detection, Session};
pub use trace::TracedStage;

use crate::gpu::{EngineOptions, Gpu};
use crate::{ModelConfig, Result};
use std::sync::Arc;

/// A device with the compute pipelines made on it; the start of everything.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(crate) gpu: Arc<Gpu>,
}

/// How far [`Engine::prepare`] is.
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
    /// Takes the caller's device. It needs no feature and no more than WebGPU's default limits; before a device is
    /// made, [`required_features`](crate::gpu::required_features) and [`required_limits`](crate::gpu::required_limits)
    /// say what to ask for, and [`check_adapter`](crate::gpu::check_adapter) whether an adapter has it.
    ///
    /// Returns at once: pipelines are made when a session first needs them. [`Engine::prepare`] makes them before.
    ///
    /// # Errors
    /// [`Error::Requirements`](crate::Error::Requirements) names every limit of the device that is too small.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, options: EngineOptions) -> Result<Self> {
        Ok(Self { gpu: Arc::new(Gpu::new(device, queue, options)?) })
    }

    /// Makes the pipelines that sessions of a model need, so that the first one opens without compiling anything. The
    /// sizes are enough: a program can do it while the weights are on their way. `on_progress` is told before each
    /// pipeline that is not made yet, and once at the end.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for sizes that do not fit one another, [`Error::Gpu`](crate::Error::Gpu)
    /// or [`Error::DeviceLost`](crate::Error::DeviceLost) that names the kernel the driver refuses, and as
    /// [`Model::session`].
    pub async fn prepare(
        &self,
        config: &ModelConfig,
        options: impl Into<LoadOptions>,
        batch: u32,
        mut on_progress: impl FnMut(PipelineProgress<'_>),
    ) -> Result<()> {
        config.validate()?;
        let mut kernels = session::kernels(&self.unloaded(config, options.into()), batch)?;
        kernels.retain(|kernel| !self.gpu.has_pipeline(kernel));
        let total = kernels.len();
        for (done, kernel) in kernels.iter().enumerate() {
            on_progress(PipelineProgress { done, total, kernel: &kernel.label() });
            self.gpu.pipeline(kernel).await?;
        }
        self.gpu.ensure_present("the kernels").await?;
        on_progress(PipelineProgress { done: total, total, kernel: "" });
        Ok(())
    }

    pub(crate) fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The device the engine was made with.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// The queue the engine was made with.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.gpu.queue
    }
}
