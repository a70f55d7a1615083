//! The public face: [`Engine`] (a device and its pipelines) loads a [`Model`] (weights on the GPU), which opens a
//! [`Session`] (the memory and the recorded dispatches for a batch of images).

use crate::config::BackboneConfig;
use crate::gpu::{Gpu, Graph, MatmulKernel, Schedule, Tensor, read_buffers};
use crate::image::{Fit, RgbImage};
use crate::model::{self, Backbone, Head, Loader, Outputs};
use crate::ops;
use crate::weights::{Weights, schema};
use crate::{Error, ModelConfig, Result};
use std::sync::Arc;
use std::time::Duration;

/// A device with the compute pipelines made on it; the start of everything.
#[derive(Clone)]
pub struct Engine {
    gpu: Arc<Gpu>,
}

/// How an [`Engine`] uses its device.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// The shape of the matrix products; by default the one that suits the kind of device.
    pub matmul: Option<MatmulKernel>,
}

/// How a model's weights are kept on the GPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As 32-bit floats: equal to PyTorch's float32 results up to rounding.
    #[default]
    F32,
    /// Packed as 16-bit floats, half the memory. Arithmetic stays 32-bit, and no device feature is needed.
    F16,
}

/// A backbone on the GPU, shared by the models of all its heads.
#[derive(Clone)]
pub struct SharedBackbone {
    weights: Arc<Backbone>,
    config: BackboneConfig,
    bytes: u64,
}

/// A model on the GPU: a backbone and the head of one category.
#[derive(Clone)]
pub struct Model {
    gpu: Arc<Gpu>,
    backbone: SharedBackbone,
    head: Arc<Head>,
    config: Arc<ModelConfig>,
    fit: Fit,
    head_bytes: u64,
}

impl Engine {
    /// Takes the caller's device. It needs no feature and no more than WebGPU's default limits, of which
    /// [`required_limits`](crate::gpu::required_limits) lists what is used.
    ///
    /// # Errors
    /// [`Error::Limit`] names the first limit of the device that is too small.
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, options: EngineOptions) -> Result<Self> {
        let matmul = options.matmul.unwrap_or_else(|| MatmulKernel::for_device(&device));
        Ok(Self { gpu: Arc::new(Gpu::new(device, queue, matmul)?) })
    }

    /// The device the engine was made with.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// The queue the engine was made with.
    pub fn queue(&self) -> &wgpu::Queue {
        &self.gpu.queue
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
        let mut loader = Loader::new(&self.gpu, weights, precision == Precision::F16);
        let backbone = Backbone::load(&mut loader, &config).await?;
        Ok(SharedBackbone { weights: Arc::new(backbone), config: config.backbone, bytes: loader.finish() })
    }

    /// Loads the head of a category onto a backbone loaded before. The weights may hold a backbone too; it is not read.
    ///
    /// # Errors
    /// As [`Engine::load`], and [`Error::Config`] when the head was trained on another backbone.
    pub async fn load_head(&self, backbone: &SharedBackbone, weights: &Weights, precision: Precision) -> Result<Model> {
        let config = weights.config()?;
        if config.backbone != backbone.config {
            return Err(Error::Config(format!(
                "the head was made for another backbone: {:?}, loaded is {:?}",
                config.backbone, backbone.config
            )));
        }
        let fit = match weights.metadata().get("pcsnet.fit") {
            Some(name) => Fit::by_name(name)?,
            None => Fit::default(),
        };
        weights.check(&schema::head(&config))?;
        let mut loader = Loader::new(&self.gpu, weights, precision == Precision::F16);
        let head = Head::load(&mut loader, &config).await?;
        Ok(Model {
            gpu: Arc::clone(&self.gpu),
            backbone: backbone.clone(),
            head: Arc::new(head),
            config: Arc::new(config),
            fit,
            head_bytes: loader.finish(),
        })
    }
}

impl Model {
    /// The device the model is on.
    pub fn device(&self) -> &wgpu::Device {
        &self.gpu.device
    }

    /// The model's sizes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// How photographs are brought to the model's input size.
    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// GPU memory of the weights, in bytes; the backbone's part is shared with its other models.
    pub fn weight_bytes(&self) -> u64 {
        self.backbone.bytes + self.head_bytes
    }

    /// Allocates everything needed to run up to `batch` images at once.
    ///
    /// Activations are kept for a few images only, whatever the batch: as many as fit the device's buffers, one after
    /// another.
    ///
    /// # Errors
    /// [`Error::Batch`] with the largest batch the device's buffers can take, [`Error::Limit`] when not even one image
    /// fits, [`Error::OutOfMemory`] when the device has no memory left.
    pub async fn session(&self, batch: u32) -> Result<Session> {
        let bytes_per_image = 4 * u64::from(self.config.input) * u64::from(self.config.input);
        let limits = &self.gpu.limits;
        let largest = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size) / bytes_per_image;
        if batch == 0 || u64::from(batch) > largest {
            return Err(Error::Batch { requested: batch, largest: largest as u32 });
        }
        let (graph, images, pixels, outputs) = self.largest_graph(batch)?;
        let schedule = graph.finish().await?;
        let size = u64::from(batch) * bytes_per_image;
        let create = |label, size, usage| {
            let usage = usage | wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            let descriptor = wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false };
            self.gpu.device.create_buffer(&descriptor)
        };
        let (pixel_buffer, map, score) = self
            .gpu
            .guarded("input and output buffers", || {
                let source = wgpu::BufferUsages::COPY_SRC;
                let pixels = create("pixels", size, source);
                // A lost device creates buffers without any error; their first use fails, and should do so here.
                self.gpu.queue.write_buffer(&pixels, 0, &[0; 4]);
                (pixels, create("map", size, source), create("score", 4 * u64::from(batch), source))
            })
            .await?;
        let gpu = Arc::clone(&self.gpu);
        let buffers = Buffers { pixels: pixel_buffer, map, score };
        Ok(Session { gpu, model: self.clone(), schedule, batch, images, pixels, outputs, buffers })
    }

    /// The network for as many images at once as fit the device's limits and divide the batch.
    fn largest_graph(&self, batch: u32) -> Result<(Graph<'_>, u32, Tensor, Outputs)> {
        // Beyond a few images even the smallest layers fill a GPU.
        const AT_MOST: u32 = 8;
        let mut refusal = None;
        for images in (1..=batch.min(AT_MOST)).rev().filter(|images| batch.is_multiple_of(*images)) {
            let (graph, pixels, outputs) = self.graph(images);
            match graph.check() {
                Ok(()) => return Ok((graph, images, pixels, outputs)),
                Err(error) => refusal = Some(error),
            }
        }
        Err(refusal.unwrap_or(Error::Batch { requested: batch, largest: 0 }))
    }

    fn graph(&self, images: u32) -> (Graph<'_>, Tensor, Outputs) {
        let side = self.config.input;
        let mut graph = Graph::new(&self.gpu, false);
        let pixels = graph.external("pixels", [images, side, side, 1]);
        let input = ops::normalize(&mut graph, pixels, self.config.backbone.normalization());
        let outputs = model::write(&mut graph, &self.backbone.weights, &self.head, input);
        (graph, pixels, outputs)
    }

    /// Runs the network on one normalised image, 3 x side x side, and gives every stage by name, in the order they are
    /// computed.
    ///
    /// # Errors
    /// [`Error::Input`] for an image of another size, and whatever running can meet.
    pub async fn trace(&self, input: &[f32]) -> Result<Vec<TracedStage>> {
        let side = self.config.input;
        let expected = 3 * (side * side) as usize;
        if input.len() != expected {
            return Err(Error::Input {
                what: "input".to_owned(),
                expected: format!("{expected} values (3 x {side} x {side})"),
                found: format!("{}", input.len()),
            });
        }
        let mut graph = Graph::new(&self.gpu, true);
        let planes = graph.external("planes", [1, 3, side, side]);
        let packed = ops::pack_nchw(&mut graph, planes, [1, side, side]);
        model::write(&mut graph, &self.backbone.weights, &self.head, packed);
        let schedule = graph.finish().await?;
        let write = || self.gpu.queue.write_buffer(schedule.buffer(planes), 0, bytemuck::cast_slice(input));
        self.gpu.guarded("the input", write).await?;
        submit_in_pieces(&self.gpu, &schedule).await?;
        let mut stages = Vec::with_capacity(schedule.stages.len());
        for stage in &schedule.stages {
            let values = read_buffers(&self.gpu, &[(&stage.buffer, stage.slice.tensor.bytes())]).await?.remove(0);
            let tensor = stage.slice.tensor;
            stages.push(TracedStage {
                name: stage.name.clone(),
                shape: [1, stage.slice.channels as usize, tensor.height as usize, tensor.width as usize],
                values: model::to_nchw(&values, &stage.slice),
            });
        }
        Ok(stages)
    }
}

/// One stage of a traced run.
#[derive(Clone, Debug)]
pub struct TracedStage {
    /// Its name, `feature1` to `blurred`.
    pub name: String,
    /// NCHW.
    pub shape: [usize; 4],
    /// Row-major values.
    pub values: Vec<f32>,
}

/// What the network found in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The image score: the largest value of the map.
    pub score: f32,
    /// The blurred anomaly map, side x side of the model's input, row-major. Larger is more anomalous.
    pub map: Vec<f32>,
}

/// Everything allocated to run batches of images through a model.
pub struct Session {
    gpu: Arc<Gpu>,
    model: Model,
    schedule: Schedule,
    batch: u32,
    /// Images that run at once; divides the batch.
    images: u32,
    pixels: Tensor,
    outputs: Outputs,
    buffers: Buffers,
}

/// A session's inputs and outputs for the whole batch.
struct Buffers {
    pixels: wgpu::Buffer,
    map: wgpu::Buffer,
    score: wgpu::Buffer,
}

impl Session {
    /// The largest number of images a run takes.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// GPU memory of activations, inputs and outputs, in bytes.
    pub fn bytes(&self) -> u64 {
        let Buffers { pixels, map, score } = &self.buffers;
        self.schedule.bytes + pixels.size() + map.size() + score.size()
    }

    /// The input: `[batch][side][side]` pixels of 8-bit RGBA, red in the lowest byte; alpha is not looked at. Hosts
    /// that do not use [`Session::write_images`] fill it themselves.
    pub fn pixel_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.pixels
    }

    /// The blurred anomaly maps, `[batch][side][side]` f32, after the recorded commands have run.
    pub fn map_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.map
    }

    /// The image scores, `[batch]` f32, after the recorded commands have run.
    pub fn score_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.score
    }

    /// Hands preprocessed images (see [`image::preprocess`](crate::image::preprocess)) to the queue, which copies them
    /// before the next submission.
    ///
    /// # Errors
    /// [`Error::Input`] for more images than the batch, or an image that is not of the model's input size.
    pub fn write_images(&self, images: &[RgbImage]) -> Result<()> {
        let side = self.model.config.input;
        if images.len() > self.batch as usize {
            return Err(Error::Input {
                what: "images".to_owned(),
                expected: format!("at most {}", self.batch),
                found: images.len().to_string(),
            });
        }
        for (index, image) in images.iter().enumerate() {
            if image.dimensions() != (side, side) {
                return Err(Error::Input {
                    what: format!("image {index}"),
                    expected: format!("{side} x {side} pixels"),
                    found: format!("{} x {}", image.width(), image.height()),
                });
            }
            let rgba: Vec<u8> = image.pixels().flat_map(|pixel| [pixel[0], pixel[1], pixel[2], 255]).collect();
            let offset = index as u64 * rgba.len() as u64;
            self.gpu.queue.write_buffer(&self.buffers.pixels, offset, &rgba);
        }
        Ok(())
    }

    /// Records the network for the whole batch into the host's encoder, from [`Session::pixel_buffer`] to
    /// [`Session::map_buffer`] and [`Session::score_buffer`]. Nothing is allocated or submitted.
    pub fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        for first in (0..self.batch).step_by(self.images as usize) {
            self.copy_in(encoder, first);
            self.schedule.record(encoder, 0..self.schedule.len());
            self.copy_out(encoder, first);
        }
    }

    /// Finds anomalies in up to `batch` preprocessed images.
    ///
    /// An image's result is the same, bit for bit, whichever others it is run with.
    ///
    /// # Errors
    /// As [`Session::write_images`], and [`Error::DeviceLost`], [`Error::OutOfMemory`] or [`Error::Gpu`] from the device.
    pub async fn run(&self, images: &[RgbImage]) -> Result<Vec<Detection>> {
        self.write_images(images)?;
        let count = images.len() as u32;
        for first in (0..count).step_by(self.images as usize) {
            submit(&self.gpu, "pcsnet input", |encoder| self.copy_in(encoder, first)).await?;
            submit_in_pieces(&self.gpu, &self.schedule).await?;
            submit(&self.gpu, "pcsnet output", |encoder| self.copy_out(encoder, first)).await?;
        }
        let Buffers { map, score, .. } = &self.buffers;
        let mut values = read_buffers(&self.gpu, &[(map, map.size()), (score, score.size())]).await?;
        let (scores, maps) = (values.pop().unwrap_or_default(), values.pop().unwrap_or_default());
        let pixels = (self.model.config.input * self.model.config.input) as usize;
        let detections = scores.iter().zip(maps.chunks_exact(pixels)).take(images.len());
        Ok(detections.map(|(&score, map)| Detection { score, map: map.to_vec() }).collect())
    }

    /// [`Session::run`], waiting for the result.
    ///
    /// # Errors
    /// As [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, images: &[RgbImage]) -> Result<Vec<Detection>> {
        pollster::block_on(self.run(images))
    }

    /// Runs the network once on whatever the input holds and gives the label and the device time of every step, as many
    /// images at once as [`Session::run`] takes.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device was made without `TIMESTAMP_QUERY`.
    pub async fn profile(&self) -> Result<Vec<(String, Duration)>> {
        self.schedule.profile(&self.gpu).await
    }

    fn copy_in(&self, encoder: &mut wgpu::CommandEncoder, first: u32) {
        let size = self.pixels.bytes();
        let from = u64::from(first / self.images) * size;
        encoder.copy_buffer_to_buffer(&self.buffers.pixels, from, self.schedule.buffer(self.pixels), 0, size);
    }

    fn copy_out(&self, encoder: &mut wgpu::CommandEncoder, first: u32) {
        for (tensor, target) in [(self.outputs.blurred, &self.buffers.map), (self.outputs.score, &self.buffers.score)] {
            let size = tensor.bytes();
            let to = u64::from(first / self.images) * size;
            encoder.copy_buffer_to_buffer(self.schedule.buffer(tensor), 0, target, to, size);
        }
    }
}

/// Submits a schedule as several command buffers, so that no single one runs long enough for an operating system to
/// think the device hung.
async fn submit_in_pieces(gpu: &Gpu, schedule: &Schedule) -> Result<()> {
    const STEPS: usize = 16;
    for first in (0..schedule.len()).step_by(STEPS) {
        let steps = first..(first + STEPS).min(schedule.len());
        submit(gpu, "pcsnet network", |encoder| schedule.record(encoder, steps)).await?;
    }
    Ok(())
}

/// Submits one command buffer.
async fn submit(gpu: &Gpu, label: &str, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<()> {
    gpu.guarded(label, || {
        let descriptor = wgpu::CommandEncoderDescriptor { label: Some(label) };
        let mut encoder = gpu.device.create_command_encoder(&descriptor);
        record(&mut encoder);
        gpu.queue.submit([encoder.finish()]);
    })
    .await
}
