//! A model on the GPU.

use super::session::{Session, submit_in_pieces};
use super::{LoadOptions, SharedBackbone};
use crate::gpu::{Gpu, Graph, read_buffers};
use crate::image::Fit;
use crate::model::{self, Head};
use crate::ops;
use crate::{Error, ModelConfig, Result};
use std::sync::Arc;

/// A model on the GPU: a backbone and the head of one category.
#[derive(Clone)]
pub struct Model {
    pub(super) gpu: Arc<Gpu>,
    pub(super) backbone: SharedBackbone,
    pub(super) head: Arc<Head>,
    pub(super) options: LoadOptions,
    pub(super) config: Arc<ModelConfig>,
    pub(super) fit: Fit,
    pub(super) head_bytes: u64,
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
        Session::open(&[self], batch).await
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
        let mut graph = Graph::new(&self.gpu, true).storing(self.options.precision.activations());
        let planes = graph.external("planes", [1, 3, side, side]);
        let packed = ops::pack_nchw(&mut graph, planes, [1, side, side]);
        let features = self.backbone.network.write(&mut graph, packed, self.config.depth());
        self.head.write(&mut graph, &features);
        let schedule = graph.finish().await?;
        let write = || self.gpu.queue.write_buffer(schedule.buffer(planes), 0, bytemuck::cast_slice(input));
        self.gpu.guarded("the input", write).await?;
        submit_in_pieces(&self.gpu, &schedule).await?;
        let mut stages = Vec::with_capacity(schedule.stages.len());
        for stage in &schedule.stages {
            let tensor = stage.slice.tensor;
            let bytes: Vec<u8> = read_buffers(&self.gpu, &[(&stage.buffer, tensor.bytes())]).await?.remove(0);
            let values = tensor.format.decode(&bytes);
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
