//! The public face: [`Engine`] (a device and its pipelines) loads a [`Model`] (weights on the GPU), which opens a
//! [`Session`] (the memory and the recorded dispatches for a batch of images).

mod heat;
mod input;
mod job;
mod model;
mod session;
#[cfg(not(target_arch = "wasm32"))]
mod throughput;
mod tune;

pub use heat::{HeatOutput, HeatStyle, HeatTarget, Paint};
pub use input::{BufferSource, Encoding, PhotographInput, TextureSource};
pub use job::Job;
pub use model::{Model, TracedStage};
pub use session::{Detection, Session};
pub use tune::TuningProgress;

use crate::config::BackboneConfig;
use crate::gpu::{EngineOptions, Format, Gpu, shaders};
use crate::image::Fit;
use crate::model::{Backbone, Head, Loaded, Loader};
use crate::probe::{self, KernelCheck};
use crate::weights::{Weights, schema};
use crate::{Error, Result};
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

/// How a model's weights and activations are kept on the GPU. Arithmetic is 32-bit in all, and no device feature is
/// needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As 32-bit floats: equal to PyTorch's float32 results up to rounding.
    #[default]
    F32,
    /// Weights packed as 16-bit floats, half the memory. Those of the last convolution stay 32-bit: rounding there reaches
    /// the anomaly map undiminished.
    F16,
    /// Weights as in [`Precision::F16`], and activations as 16-bit floats where that keeps the full-size network's anomaly
    /// map within 1 % of its standard deviation: the backbone's, and the widest of the decoder's. The way from descriptors to distances, the
    /// coarse bins and the decoder's last layers stay 32-bit.
    F16Activations,
}

impl Precision {
    /// Every precision there is.
    pub const ALL: [Self; 3] = [Self::F32, Self::F16, Self::F16Activations];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F16Activations => "f16-activations",
        }
    }

    /// The precision of this name.
    ///
    /// # Errors
    /// [`Error::Config`] with the known names.
    pub fn by_name(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::name).join(", ");
        let unknown = || Error::Config(format!("unknown precision `{name}`; known are {}", known()));
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(unknown)
    }

    fn weights(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 | Self::F16Activations => Format::F16,
        }
    }

    fn activations(self) -> Format {
        match self {
            Self::F32 | Self::F16 => Format::F32,
            Self::F16Activations => Format::F16,
        }
    }
}

/// A backbone on the GPU, shared by the models of all its heads.
#[derive(Clone)]
pub struct SharedBackbone {
    weights: Arc<Backbone>,
    config: BackboneConfig,
    precision: Precision,
    loaded: Loaded,
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
        let kernels = shaders::kernels(&engine.gpu, &engine.gpu.tilings_in_use());
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

    /// Loads a whole model: one bundle, or a backbone's file and a head's.
    ///
    /// # Errors
    /// What is missing, superfluous or malformed in the files, or more than the device can hold.
    pub async fn load(&self, weights: &Weights, precision: Precision) -> Result<Model> {
        // All names and shapes are checked before the first byte is uploaded.
        weights.check(&schema::model(&weights.config()?))?;
        let backbone = self.load_backbone(weights, precision).await?;
        self.load_head(&backbone, weights, precision).await
    }

    /// Loads the backbone alone, for several heads to share.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub async fn load_backbone(&self, weights: &Weights, precision: Precision) -> Result<SharedBackbone> {
        let config = weights.config()?;
        weights.check(&schema::backbone(&config))?;
        let room = self.gpu.winograd_bytes.unwrap_or(u64::MAX);
        let mut loader = Loader::new(&self.gpu, weights, precision.weights(), room);
        let backbone = Backbone::load(&mut loader, &config).await?;
        let loaded = loader.finish();
        Ok(SharedBackbone { weights: Arc::new(backbone), config: config.backbone, precision, loaded })
    }

    /// Loads the head of a category onto a backbone loaded before. The weights may hold a backbone too; it is not read.
    ///
    /// # Errors
    /// As [`Engine::load`], and [`Error::Config`] when the head was trained on another backbone, or activations shall be
    /// f16 on a backbone that was loaded with f32 weights.
    pub async fn load_head(&self, backbone: &SharedBackbone, weights: &Weights, precision: Precision) -> Result<Model> {
        let config = weights.config()?;
        if config.backbone != backbone.config {
            return Err(Error::Config(format!(
                "the head was made for another backbone: {:?}, loaded is {:?}",
                config.backbone, backbone.config
            )));
        }
        if precision.activations() == Format::F16 && backbone.precision.weights() == Format::F32 {
            return Err(Error::Config(format!(
                "a head with {} on a backbone with f32 weights; load the backbone with f16 or {0}",
                precision.name()
            )));
        }
        let fit = match weights.metadata().get("pcsnet.fit") {
            Some(name) => Fit::by_name(name)?,
            None => Fit::default(),
        };
        weights.check(&schema::head(&config))?;
        let room = backbone.loaded.winograd_room;
        let mut loader = Loader::new(&self.gpu, weights, precision.weights(), room);
        let head = Head::load(&mut loader, &config).await?;
        Ok(Model {
            gpu: Arc::clone(&self.gpu),
            backbone: backbone.clone(),
            head: Arc::new(head),
            activations: precision.activations(),
            config: Arc::new(config),
            fit,
            head_bytes: loader.finish().bytes,
        })
    }
}
