//! A model on the GPU.

use super::options::{LoadOptions, Precision};
use crate::config::BackboneConfig;
use crate::gpu::{Format, Gpu};
use crate::image::Fit;
use crate::model::{Backbone, Head};
use crate::{Error, ModelConfig, Result};
use std::fmt;
use std::sync::Arc;

/// A model on the GPU: a backbone and the head of one category.
#[derive(Clone)]
pub struct Model {
    pub(super) gpu: Arc<Gpu>,
    pub(super) backbone: SharedBackbone,
    pub(super) head: Arc<Head>,
    pub(crate) options: LoadOptions,
    pub(super) config: Arc<ModelConfig>,
    pub(super) fit: Fit,
    pub(super) head_bytes: u64,
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut model = f.debug_struct("Model");
        model.field("config", &self.config).field("options", &self.options).field("fit", &self.fit);
        model.finish_non_exhaustive()
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
}

/// A backbone on the GPU, shared by the models of all its heads.
#[derive(Clone)]
pub struct SharedBackbone {
    pub(super) gpu: Arc<Gpu>,
    pub(super) network: Arc<Backbone>,
    pub(super) config: BackboneConfig,
    pub(super) precision: Precision,
    /// GPU memory of its weights.
    pub(super) bytes: u64,
    /// GPU memory of those weights that are transformed for Winograd's algorithms.
    pub(super) transformed_bytes: u64,
}

impl SharedBackbone {
    pub(crate) fn network(&self) -> &Backbone {
        &self.network
    }
}

impl fmt::Debug for SharedBackbone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut backbone = f.debug_struct("SharedBackbone");
        backbone.field("config", &self.config).field("precision", &self.precision).finish_non_exhaustive()
    }
}

impl SharedBackbone {
    /// Checks that a head of these sizes can stand on it.
    pub(super) fn ensure_carries(&self, head: &ModelConfig, precision: Precision, gpu: &Arc<Gpu>) -> Result<()> {
        // Neither devices nor their things can be told apart where they are of several instances of wgpu.
        if !Arc::ptr_eq(gpu, &self.gpu) {
            let reason = "the backbone was loaded by another engine; load both with one, or with clones of it";
            return Err(Error::Mismatch(reason.to_owned()));
        }
        if head.backbone != self.config {
            return Err(Error::Mismatch(format!(
                "the head was made for another backbone: {:?}, loaded is {:?}",
                head.backbone, self.config
            )));
        }
        if head.depth() > self.network.depth() {
            return Err(Error::Mismatch(format!(
                "the head reads {} levels of the backbone, of which {} are loaded; load it with a file that names more",
                head.depth(),
                self.network.depth()
            )));
        }
        if precision.activations() == Format::F16 && self.precision.weights() == Format::F32 {
            return Err(Error::Mismatch(format!(
                "a head with {} on a backbone with f32 weights; load the backbone with f16 or {0}",
                precision.name()
            )));
        }
        Ok(())
    }
}
