//! From files to a model on the GPU.

use super::{Engine, Model};
use crate::config::BackboneConfig;
use crate::gpu::{Format, Gpu, Winograd};
use crate::image::Fit;
use crate::model::{Backbone, Head, schema};
use crate::parameters::{Parameters, Storage};
use crate::weights::{Schema, Weights};
use crate::{Error, ModelConfig, Result};
use std::sync::Arc;

/// How a model is kept on the GPU: what [`Engine::load`] can be told. A [`Precision`] alone will do in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The numbers that weights and activations are stored as.
    pub precision: Precision,
    /// How 3 x 3 convolutions are computed; by default each as was measured to be the fastest, or else with the larger
    /// tiles where the image is large enough.
    pub winograd: Option<Winograd>,
    /// GPU memory for the transformed weights of the model's 3 x 3 convolutions, in bytes; by default as much as they take.
    /// Convolutions that it has no room for keep their weights as the file has them, a quarter as large (9/16 for
    /// [`Winograd::F2x2`]), and transform them into scratch memory, which all of them share, each time they run.
    pub winograd_bytes: Option<u64>,
}

impl LoadOptions {
    /// How constants are stored for a device.
    pub(super) fn storage(self, gpu: &Gpu) -> Storage<'_> {
        let Self { precision, winograd, winograd_bytes } = self;
        Storage { gpu: Some(gpu), format: precision.weights(), winograd, winograd_bytes }
    }
}

impl From<Precision> for LoadOptions {
    fn from(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }
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

    pub(super) fn activations(self) -> Format {
        match self {
            Self::F32 | Self::F16 => Format::F32,
            Self::F16Activations => Format::F16,
        }
    }
}

/// A backbone on the GPU, shared by the models of all its heads.
#[derive(Clone)]
pub struct SharedBackbone {
    pub(super) network: Arc<Backbone>,
    config: BackboneConfig,
    precision: Precision,
    /// GPU memory of its weights.
    pub(super) bytes: u64,
    /// Those that are transformed for Winograd's algorithms.
    transformed_bytes: u64,
}

/// A part of a model, declared and not yet loaded.
struct Declared<'a, T> {
    part: T,
    parameters: Parameters<'a>,
}

impl Engine {
    /// Loads a whole model: one bundle, or a backbone's file and a head's. All names and shapes are checked before the first
    /// byte is uploaded.
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
    /// As [`Engine::load`].
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
    /// As [`Engine::load`], and [`Error::Config`] when the head was trained on another backbone or reads more of its levels
    /// than were loaded, or activations shall be f16 on a backbone that was loaded with f32 weights.
    pub async fn load_head(
        &self,
        backbone: &SharedBackbone,
        weights: &Weights,
        options: impl Into<LoadOptions>,
    ) -> Result<Model> {
        let (header, options) = (Header::read(weights)?, options.into());
        backbone.ensure_carries(&header.config, options.precision)?;
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
        let transformed_bytes = parameters.transformed_bytes();
        let bytes = parameters.load(&self.gpu, weights).await?;
        let (config, precision) = (config.backbone.clone(), options.precision);
        Ok(SharedBackbone { network: Arc::new(part), config, precision, bytes, transformed_bytes })
    }

    async fn fill_head(
        &self,
        backbone: &SharedBackbone,
        Declared { part, parameters }: Declared<'_, Head>,
        weights: &Weights,
        Header { config, fit }: Header,
        options: LoadOptions,
    ) -> Result<Model> {
        Ok(Model {
            gpu: Arc::clone(&self.gpu),
            backbone: backbone.clone(),
            head: Arc::new(part),
            options,
            config: Arc::new(config),
            fit,
            head_bytes: parameters.load(&self.gpu, weights).await?,
        })
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

impl SharedBackbone {
    /// Checks that a head of these sizes can stand on it.
    fn ensure_carries(&self, head: &ModelConfig, precision: Precision) -> Result<()> {
        if head.backbone != self.config {
            return Err(Error::Config(format!(
                "the head was made for another backbone: {:?}, loaded is {:?}",
                head.backbone, self.config
            )));
        }
        if head.depth() > self.network.depth() {
            return Err(Error::Config(format!(
                "the head reads {} levels of the backbone, of which {} are loaded; load it with a file that names more",
                head.depth(),
                self.network.depth()
            )));
        }
        if precision.activations() == Format::F16 && self.precision.weights() == Format::F32 {
            return Err(Error::Config(format!(
                "a head with {} on a backbone with f32 weights; load the backbone with f16 or {0}",
                precision.name()
            )));
        }
        Ok(())
    }
}
