//! From files to a model on the GPU.

use super::Engine;
use super::model::{Model, SharedBackbone};
use super::options::LoadOptions;
use crate::image::Fit;
use crate::model::{Backbone, Head, schema};
use crate::parameters::Parameters;
use crate::weights::{Schema, Weights};
use crate::{ModelConfig, Result};
use std::sync::Arc;

/// A part of a model, declared and not yet loaded.
struct Declared<'a, T> {
    part: T,
    parameters: Parameters<'a>,
}

impl Engine {
    /// Loads a whole model: one bundle, or a backbone's file and a head's. All names and shapes are checked before the
    /// first byte is uploaded.
    ///
    /// # Errors
    /// What is missing, superfluous or malformed in the files, or more than the device can hold.
    pub async fn load(&self, weights: &Weights, options: impl Into<LoadOptions>) -> Result<Model> {
        let (header, options) = (Header::read(weights)?, options.into());
        let backbone = self.declare_backbone(&header.config, options);
        let head = self.declare_head(&header.config, options, backbone.parameters.transformed_bytes());
        weights.check(&backbone.schema(schema::BACKBONE_PARTS).and(head.schema(schema::HEAD_PARTS)))?;
        let backbone = self.fill_backbone(backbone, weights, &header.config, options).await?;
        self.fill_head(&backbone, head, weights, header, options).await
    }

    /// Loads the backbone alone, for several heads to share.
    ///
    /// # Errors
    /// The same as of [`Engine::load`].
    pub async fn load_backbone(&self, weights: &Weights, options: impl Into<LoadOptions>) -> Result<SharedBackbone> {
        let (config, options) = (weights.config()?, options.into());
        let backbone = self.declare_backbone(&config, options);
        weights.check(&backbone.schema(schema::BACKBONE_PARTS))?;
        self.fill_backbone(backbone, weights, &config, options).await
    }

    /// Loads the head of a category onto a backbone loaded before. The weights may hold a backbone too; it is not read.
    /// [`LoadOptions::winograd_bytes`] bounds both together.
    ///
    /// # Errors
    /// The same as of [`Engine::load`], and [`Error::Mismatch`](crate::Error::Mismatch) when the head was trained on
    /// another backbone or reads more of its levels than were loaded, activations shall be f16 on a backbone that
    /// was loaded with f32 weights, or the backbone was loaded by another engine.
    pub async fn load_head(
        &self,
        backbone: &SharedBackbone,
        weights: &Weights,
        options: impl Into<LoadOptions>,
    ) -> Result<Model> {
        let (header, options) = (Header::read(weights)?, options.into());
        backbone.ensure_carries(&header.config, options.precision, &self.gpu)?;
        let head = self.declare_head(&header.config, options, backbone.transformed_bytes);
        weights.check(&head.schema(schema::HEAD_PARTS))?;
        self.fill_head(backbone, head, weights, header, options).await
    }

    fn declare_backbone(&self, config: &ModelConfig, options: LoadOptions) -> Declared<'_, Backbone> {
        let mut parameters = Parameters::new(options.storage(&self.gpu));
        Declared { part: Backbone::new(&mut parameters, config), parameters }
    }

    /// `transformed` are the backbone's bytes of transformed weights.
    fn declare_head(&self, config: &ModelConfig, options: LoadOptions, transformed: u64) -> Declared<'_, Head> {
        let mut parameters = Parameters::new(options.storage(&self.gpu)).beside(transformed);
        Declared { part: Head::new(&mut parameters, config), parameters }
    }

    async fn fill_backbone(
        &self,
        Declared { part, parameters }: Declared<'_, Backbone>,
        weights: &Weights,
        config: &ModelConfig,
        options: LoadOptions,
    ) -> Result<SharedBackbone> {
        options.precision.check(&self.gpu.device)?;
        let transformed_bytes = parameters.transformed_bytes();
        let bytes = parameters.load(&self.gpu, weights).await?;
        self.gpu.ensure_present("a backbone").await?;
        Ok(self.backbone(part, config, options, [bytes, transformed_bytes]))
    }

    async fn fill_head(
        &self,
        backbone: &SharedBackbone,
        Declared { part, parameters }: Declared<'_, Head>,
        weights: &Weights,
        header: Header,
        options: LoadOptions,
    ) -> Result<Model> {
        options.precision.check(&self.gpu.device)?;
        let head_bytes = parameters.load(&self.gpu, weights).await?;
        self.gpu.ensure_present("a head").await?;
        Ok(self.model(backbone.clone(), part, header, options, head_bytes))
    }

    /// A model of which nothing is on the device: it can be written into a graph, but not run.
    pub(super) fn unloaded(&self, config: &ModelConfig, options: LoadOptions) -> Model {
        let Declared { part, parameters } = self.declare_backbone(config, options);
        let backbone = self.backbone(part, config, options, [0, parameters.transformed_bytes()]);
        let head = self.declare_head(config, options, backbone.transformed_bytes).part;
        self.model(backbone, head, Header { config: config.clone(), fit: Fit::default() }, options, 0)
    }

    fn backbone(
        &self,
        network: Backbone,
        config: &ModelConfig,
        options: LoadOptions,
        [bytes, transformed_bytes]: [u64; 2],
    ) -> SharedBackbone {
        let (gpu, network, config) = (Arc::clone(&self.gpu), Arc::new(network), config.backbone.clone());
        SharedBackbone { gpu, network, config, precision: options.precision, bytes, transformed_bytes }
    }

    fn model(
        &self,
        backbone: SharedBackbone,
        head: Head,
        header: Header,
        options: LoadOptions,
        head_bytes: u64,
    ) -> Model {
        let Header { config, fit } = header;
        let (gpu, head, config) = (Arc::clone(&self.gpu), Arc::new(head), Arc::new(config));
        Model { gpu, backbone, head, options, config, fit, head_bytes }
    }
}

impl<T> Declared<'_, T> {
    fn schema(&self, parts: &[&'static str]) -> Schema {
        self.parameters.schema(parts)
    }
}

/// What a model's files say beside its weights.
struct Header {
    config: ModelConfig,
    fit: Fit,
}

impl Header {
    fn read(weights: &Weights) -> Result<Self> {
        let fit = match weights.metadata().get("pcsnet.fit") {
            Some(name) => Fit::by_name(name)?,
            None => Fit::default(),
        };
        Ok(Self { config: weights.config()?, fit })
    }
}
