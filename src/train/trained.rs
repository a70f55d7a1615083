//! A trained model, as a file has it.

use super::memory::Values;
use super::step::RADIUS;
use super::{Trainer, named};
use crate::config::DescriptorKind;
use crate::image::ValueRange;
use crate::model::{coord_conv, schema, squeeze};
use crate::teach::config_metadata;
use crate::weights::{NamedTensor, Parameter, Weights, serialize};
use crate::{ModelConfig, Result};
use serde_json::json;
use std::collections::BTreeMap;

/// A trained model, as a file has it: backbone, descriptor, prototypes and decoder. It holds no threshold yet; see
/// [`inspect::calibrate`](crate::inspect::calibrate()).
#[derive(Clone, Debug)]
pub struct TrainedModel {
    bytes: Vec<u8>,
}

impl TrainedModel {
    /// The model of some values, with the features' scales folded into the descriptor's weights.
    pub(super) fn new(trainer: &Trainer, mut values: Values, scales: &[Vec<f32>]) -> Result<Self> {
        values.0.remove(RADIUS);
        for (level, scale) in trainer.config.levels().into_iter().zip(scales) {
            // In the plain kind each output's weights end with those of the two coordinates.
            let [squeezing, ..] = squeeze(&trainer.config, level);
            let first = match trainer.options.descriptor {
                DescriptorKind::Plain => coord_conv(&trainer.config, level),
                DescriptorKind::Rotation => squeezing,
            };
            let weight = values.of(&first.weight().name);
            for of_output in weight.chunks_exact_mut(first.inputs as usize) {
                of_output.iter_mut().zip(scale).for_each(|(weight, scale)| *weight *= scale);
            }
        }
        let schema = schema::head(&trainer.config);
        let read = |parameter: &Parameter| Ok((parameter.clone(), crate::weights::Source::values(&values, parameter)?));
        let head: Vec<_> = schema.tensors().iter().map(read).collect::<Result<_>>()?;
        let tensors: Vec<NamedTensor<'_>> = trainer.tensors.iter().chain(&head).map(named).collect();
        Ok(Self { bytes: serialize(&tensors, &metadata(trainer, &trainer.config))? })
    }

    /// The model as a safetensors file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The model, ready for [`Engine::load`](crate::Engine::load).
    ///
    /// # Errors
    /// Those of [`Weights::from_bytes`].
    pub fn weights(&self) -> Result<Weights> {
        Weights::from_bytes("the trained model", self.bytes.clone())
    }

    /// Writes the model into a file, which appears whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where the file cannot be written.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn save(&self, path: impl AsRef<std::path::Path>) -> Result<()> {
        crate::weights::write_bytes(path, &self.bytes)
    }
}

fn metadata(trainer: &Trainer, config: &ModelConfig) -> BTreeMap<String, String> {
    let options = &trainer.options;
    let names: Vec<&str> = trainer.photographs.iter().map(|photograph| photograph.name.as_str()).collect();
    let hashes = trainer.photographs.iter().map(|photograph| photograph.sha256.as_deref());
    let training = json!({
        "recipe": options.recipe.name,
        "category": options.category.name(),
        "descriptor": options.descriptor,
        "images": names,
        "sha256": hashes.collect::<Option<Vec<_>>>().unwrap_or_default(),
        "epochs": options.epochs(),
        "batch": options.batch,
        "seed": options.seed,
    });
    let fit = ("pcsnet.fit".to_owned(), options.fit.name().to_owned());
    let range = options.range.map(ValueRange::to_metadata);
    let training = ("pcsnet.training".to_owned(), training.to_string());
    [config_metadata(config), fit, training].into_iter().chain(range).collect()
}
