//! The memory and the recorded dispatches for a batch of images.

use super::model::Model;
use crate::gpu::{Gpu, Graph, Kernel, Layer, Memory, Program, Readback, Schedule, StepInfo, Tensor};
use crate::image::{Fit, RgbImage, rgba};
use crate::model::Outputs;
use crate::ops;
use crate::{Error, Result};
use async_lock::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the network found in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The image score: the largest value of the map.
    pub score: f32,
    /// The blurred anomaly map, side x side of the model's input, row-major. Larger is more anomalous.
    pub map: Vec<f32>,
}

/// Everything allocated to run batches of images through a model, or through several heads of one backbone.
///
/// Inputs stand in [`Session::pixel_buffer`], results in [`Session::map_buffer`] and [`Session::score_buffer`]. A host
/// records the network into encoders of its own ([`Session::record`], or [`Session::advance`] piece by piece); after
/// the session is open nothing is allocated and nothing submitted. [`Session::run`] does all of it for programs without
/// frames of their own.
///
/// A session runs one batch at a time. Threads and tasks that share it may call [`Session::run`] and its kin as they
/// like: each waits for its turn, from the input to the results. What a host records itself has no turns: the order is
/// that of its submissions, so a session it records is run in no other way meanwhile.
pub struct Session {
    /// Tells its jobs from those of others.
    pub(super) id: u64,
    /// Held from the first byte of a run's input to the last of its results, with the host memory that these are read
    /// to, once there was a run.
    turn: Mutex<Option<Readback>>,
    pub(crate) gpu: Arc<Gpu>,
    pub(super) schedule: Schedule,
    /// Side of the models' input.
    pub(super) side: u32,
    pub(super) fit: Fit,
    pub(super) batch: u32,
    /// Images that run at once; divides the batch.
    pub(super) images: u32,
    pixels: Tensor,
    /// The outputs of each head.
    outputs: Vec<Outputs>,
    pub(super) buffers: Buffers,
    /// GPU memory of the weights of the backbone and all heads.
    weight_bytes: u64,
}

impl Model {
    /// Allocates everything needed to run up to `batch` images at once.
    ///
    /// Activations are kept for a few images only, whatever the batch: as many as fit the device's buffers, one after
    /// another.
    ///
    /// # Errors
    /// [`Error::Batch`] with the largest batch the device's buffers can take, [`Error::Limit`] when not even one image
    /// fits, [`Error::OutOfMemory`] when the device has no memory left.
    pub async fn session(&self, batch: u32) -> Result<Session> {
        Session::open(&[self], batch).await
    }
}

/// A session's inputs and outputs for the whole batch.
pub(super) struct Buffers {
    pub(super) pixels: wgpu::Buffer,
    pub(super) map: wgpu::Buffer,
    score: wgpu::Buffer,
}

/// A network written down for some images at once.
struct Written<'a> {
    graph: Graph<'a>,
    images: u32,
    pixels: Tensor,
    outputs: Vec<Outputs>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut session = f.debug_struct("Session");
        session.field("side", &self.side).field("batch", &self.batch).field("heads", &self.heads());
        session.field("memory", &self.memory()).finish_non_exhaustive()
    }
}

impl Session {
    /// Allocates everything needed to run up to `batch` images at once through several heads of one backbone
    /// ([`Model::session`] is for one). The backbone runs once an image, each head after it; results are the same bit
    /// for bit as those of the models' own sessions.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when there is no model, or one has another backbone, input size, fit or precision
    /// of activations than the first;
    /// [`Engine::load_backbone`](crate::Engine::load_backbone) loads a backbone to share. Else as [`Model::session`].
    pub async fn open(models: &[&Model], batch: u32) -> Result<Self> {
        let first = common(models)?;
        let (gpu, side) = (Arc::clone(&first.gpu), first.config.input);
        let heads = models.len() as u64;
        let bytes_per_image = 4 * u64::from(side) * u64::from(side);
        let largest =
            gpu.limits.max_buffer_size.min(gpu.limits.max_storage_buffer_binding_size) / (heads * bytes_per_image);
        if batch == 0 || u64::from(batch) > largest {
            return Err(Error::Batch { requested: batch, largest: largest as u32 });
        }
        let Written { graph, images, pixels, outputs } = write_largest(models, batch)?;
        let schedule = graph.finish().await?;
        let size = u64::from(batch) * bytes_per_image;
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        let buffers = Buffers {
            pixels: gpu.buffer("pixels", size, usage).await?,
            map: gpu.buffer("map", heads * size, usage).await?,
            score: gpu.buffer("score", 4 * heads * u64::from(batch), usage).await?,
        };
        // A lost device creates buffers without any error; their first use fails, and should do so here.
        gpu.write("pixels", &buffers.pixels, &[0; 4]).await?;
        gpu.ensure_present("a session").await?;
        static SESSIONS: AtomicU64 = AtomicU64::new(0);
        let (id, turn) = (SESSIONS.fetch_add(1, Ordering::Relaxed), Mutex::new(None));
        let weight_bytes = first.backbone.bytes + models.iter().map(|model| model.head_bytes).sum::<u64>();
        let fit = first.fit;
        Ok(Self { id, turn, gpu, schedule, side, fit, batch, images, pixels, outputs, buffers, weight_bytes })
    }

    /// The largest number of images a run takes.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// The number of heads every image goes through: as many as [`Session::open`] was given models.
    pub fn heads(&self) -> u32 {
        self.outputs.len() as u32
    }

    /// GPU memory of the session and of its models' weights.
    pub fn memory(&self) -> Memory {
        let Buffers { pixels, map, score } = &self.buffers;
        let mut memory = self.schedule.memory;
        memory.weights += self.weight_bytes;
        memory.io += pixels.size() + map.size() + score.size();
        memory
    }

    /// The input: `[batch][side][side]` pixels of 8-bit RGBA, red in the lowest byte; alpha is not looked at. Hosts
    /// that use neither [`Session::write_images`] nor a [`PhotographInput`](crate::PhotographInput) fill it themselves,
    /// with a copy or a shader of their own (`STORAGE | COPY_DST | COPY_SRC`).
    pub fn pixel_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.pixels
    }

    /// The blurred anomaly maps, `[heads][batch][side][side]` f32, after the recorded commands have run (`STORAGE |
    /// COPY_DST | COPY_SRC`).
    pub fn map_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.map
    }

    /// The image scores, `[heads][batch]` f32, after the recorded commands have run (`STORAGE | COPY_DST | COPY_SRC`).
    pub fn score_buffer(&self) -> &wgpu::Buffer {
        &self.buffers.score
    }

    /// Hands preprocessed images (see [`image::preprocess`](crate::image::preprocess)) to the queue, which copies them
    /// before the next submission: the input of a run that the host records itself.
    ///
    /// # Errors
    /// [`Error::Input`] for more images than the batch, or an image that is not of the model's input size. The loss of
    /// the device is told by what waits for it.
    pub async fn write_images(&self, images: &[RgbImage]) -> Result<()> {
        let side = self.side;
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
        }
        let pixels = images.iter().map(rgba).collect::<Vec<_>>().concat();
        self.gpu.write("a copy of the images", &self.buffers.pixels, &pixels).await
    }

    /// Finds anomalies in up to `batch` preprocessed images: a detection for each image, in order. With several heads,
    /// those of all images for one head after another, `[heads][images]`.
    ///
    /// An image's result is the same, bit for bit, whichever others it is run with.
    ///
    /// # Errors
    /// The same as of [`Session::write_images`], and [`Error::DeviceLost`], [`Error::OutOfMemory`] or [`Error::Gpu`]
    /// from the device.
    pub async fn run(&self, images: &[RgbImage]) -> Result<Vec<Detection>> {
        let mut turn = self.turn.lock().await;
        self.write_images(images).await?;
        self.results(&mut turn, images.len() as u32).await
    }

    /// [`Session::run`] on the first `count` images of an input that commands fill: those of
    /// [`PhotographInput`](crate::PhotographInput)s, or the host's own. They are recorded and submitted when it is the
    /// run's turn.
    ///
    /// # Errors
    /// [`Error::Batch`] for more images than the batch; else as [`Session::run`].
    pub async fn run_input(&self, count: u32, fill: impl FnOnce(&mut wgpu::CommandEncoder)) -> Result<Vec<Detection>> {
        if count > self.batch {
            return Err(Error::Batch { requested: count, largest: self.batch });
        }
        let mut turn = self.turn.lock().await;
        self.gpu.submit("the way of photographs to the network", fill).await?;
        self.results(&mut turn, count).await
    }

    /// Computes the first `count` images of the input and reads what was found.
    async fn results(&self, kept: &mut Option<Readback>, count: u32) -> Result<Vec<Detection>> {
        self.compute(count).await?;
        let Buffers { map, score, .. } = &self.buffers;
        let readback = match kept.take() {
            Some(readback) => readback,
            None => Readback::new(&self.gpu, map.size() + score.size()).await?,
        };
        let (batch, map_bytes) = (self.batch as usize, 4 * (self.side * self.side) as usize);
        let detections = |bytes: &[u8]| {
            let (maps, scores) = bytes.split_at(map.size() as usize);
            let heads = scores.chunks_exact(4 * batch).zip(maps.chunks_exact(batch * map_bytes));
            let detections = heads.flat_map(|(scores, maps)| {
                scores.chunks_exact(4).zip(maps.chunks_exact(map_bytes)).take(count as usize)
            });
            let read = |(score, map)| Detection {
                score: bytemuck::pod_read_unaligned(score),
                map: bytemuck::pod_collect_to_vec(map),
            };
            detections.map(read).collect()
        };
        let found = readback.read(&self.gpu, &[(map, map.size()), (score, score.size())], detections).await?;
        *kept = Some(readback);
        Ok(found)
    }

    /// [`Session::run`], waiting for the result.
    ///
    /// # Errors
    /// The same as of [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_blocking(&self, images: &[RgbImage]) -> Result<Vec<Detection>> {
        pollster::block_on(self.run(images))
    }

    /// Runs the network on what [`Session::pixel_buffer`] holds and waits until the device is done. Nothing is uploaded
    /// or read back: results are in [`Session::map_buffer`] and [`Session::score_buffer`].
    ///
    /// # Errors
    /// The same as of [`Session::run`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn run_resident(&self) -> Result<()> {
        pollster::block_on(async {
            let _turn = self.turn.lock().await;
            self.compute(self.batch).await?;
            // Nothing is read that would tell a loss.
            self.gpu.ensure_present("a run").await
        })
    }

    /// Submits the network for the first `count` images.
    async fn compute(&self, count: u32) -> Result<()> {
        for first in (0..count).step_by(self.images as usize) {
            let (before, after) =
                (|encoder: &mut _| self.copy_in(encoder, first), |encoder: &mut _| self.copy_out(encoder, first));
            self.schedule.submit_between(&self.gpu, before, after).await?;
        }
        Ok(())
    }

    /// The dispatches that compute as many images at once as [`Session::run`] takes, in order.
    pub fn steps(&self) -> Vec<StepInfo> {
        self.schedule.describe()
    }

    /// The programs of all pipelines, for tools that judge them.
    #[doc(hidden)]
    pub fn programs(&self) -> Vec<Program> {
        self.schedule.programs()
    }

    /// Runs the network once on whatever the input holds and gives the label and the device time of every step, as many
    /// images at once as [`Session::run`] takes.
    ///
    /// # Errors
    /// [`Error::Gpu`] when the device was made without `TIMESTAMP_QUERY`.
    pub async fn profile(&self) -> Result<Vec<(String, Duration)>> {
        let _turn = self.turn.lock().await;
        self.schedule.profile(&self.gpu).await
    }

    /// Copies the pixels of the images from `first` on to where the schedule reads them.
    pub(super) fn copy_in(&self, encoder: &mut wgpu::CommandEncoder, first: u32) {
        let size = self.pixels.bytes();
        let from = u64::from(first / self.images) * size;
        encoder.copy_buffer_to_buffer(&self.buffers.pixels, from, self.schedule.buffer(self.pixels), 0, size);
    }

    /// Copies what the schedule computed for the images from `first` on to the session's outputs.
    pub(super) fn copy_out(&self, encoder: &mut wgpu::CommandEncoder, first: u32) {
        for (head, outputs) in (0..).zip(&self.outputs) {
            let before = u64::from(head * self.batch + first);
            for (tensor, target) in [(outputs.blurred, &self.buffers.map), (outputs.score, &self.buffers.score)] {
                let size = tensor.bytes();
                let to = before * (size / u64::from(self.images));
                encoder.copy_buffer_to_buffer(self.schedule.buffer(tensor), 0, target, to, size);
            }
        }
    }
}

/// The first of some models that can run together.
fn common<'a>(models: &[&'a Model]) -> Result<&'a Model> {
    let Some((first, others)) = models.split_first() else {
        return Err(Error::Mismatch("a session needs at least one model".to_owned()));
    };
    for (index, other) in (1..).zip(others) {
        let refuse =
            |what| Err(Error::Mismatch(format!("model {index} of the session has another {what} than the first")));
        if !Arc::ptr_eq(&first.backbone.network, &other.backbone.network) {
            return refuse("backbone; load it once with load_backbone and the heads onto it with load_head");
        }
        if first.config.input != other.config.input {
            return refuse("input size");
        }
        if first.fit != other.fit {
            return refuse("fit");
        }
        if first.config.light != other.config.light {
            return refuse("light that photographs are brought to");
        }
        let formats = |model: &Model| [model.options.precision.activations(), model.options.precision.factors()];
        if formats(first) != formats(other) {
            return refuse("precision of activations or products");
        }
    }
    Ok(first)
}

/// The network for as many images at once as fit the device's limits and divide the batch.
fn write_largest<'a>(models: &[&'a Model], batch: u32) -> Result<Written<'a>> {
    // Beyond a few images even the smallest layers fill a GPU.
    const AT_MOST: u32 = 8;
    let mut refusal = None;
    for images in (1..=batch.min(AT_MOST)).rev().filter(|images| batch.is_multiple_of(*images)) {
        let written = write(models, images);
        match written.graph.check() {
            Ok(()) => return Ok(written),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or(Error::Batch { requested: batch, largest: 0 }))
}

/// The distinct layers of a model's matrix products, as a session of this batch runs them.
pub(crate) fn layers(model: &Model, batch: u32) -> Result<Vec<Layer>> {
    Ok(distinct(write_largest(&[model], batch)?.graph.layers()))
}

/// The distinct kernels of a session of this batch.
pub(super) fn kernels(model: &Model, batch: u32) -> Result<Vec<Kernel>> {
    Ok(distinct(write_largest(&[model], batch)?.graph.kernels()))
}

fn distinct<'a, T: PartialEq + Clone + 'a>(values: impl IntoIterator<Item = &'a T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for value in values {
        if !distinct.contains(value) {
            distinct.push(value.clone());
        }
    }
    distinct
}

fn write<'a>(models: &[&'a Model], images: u32) -> Written<'a> {
    let Model { gpu, backbone, config, options, .. } = models[0];
    let precision = options.precision;
    let mut graph = Graph::new(gpu, false).storing(precision.activations()).multiplying(precision.factors());
    let pixels = graph.external("pixels", [images, config.input, config.input, 1]);
    let input = ops::normalize(&mut graph, pixels, config.backbone.normalization(), config.light);
    let depth = models.iter().map(|model| model.config.depth()).max().unwrap_or(0);
    let features = backbone.network.write(&mut graph, input, depth);
    let outputs = models.iter().map(|model| model.head.write(&mut graph, &features)).collect();
    Written { graph, images, pixels, outputs }
}
