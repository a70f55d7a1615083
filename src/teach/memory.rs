//! What a taught model keeps so that more photographs can be taught later, without the first ones.
//!
//! Beside the network's tensors a taught model's file has
//!
//! * `teaching.layer_N.owners`, `[prototypes]`: the number of the photograph that each prototype of a level is of,
//! * `teaching.held_out`, `[photographs][levels][grid][grid]`: the distances of the last so many photographs to the
//!   prototypes of the others,
//! * `teaching.fingerprints`, `[photographs][1024]`: by which copies of these photographs are known,
//!
//! and in its metadata, as `pcsnet.training`, a [`Record`].

use super::bank::Bank;
use super::held_out::HeldOut;
use super::light::LightDecision;
use super::poses::PoseDecision;
use super::rows::transposed;
use super::whitening::Whitening;
use super::{HEADER_BYTES, Identity, TeachOptions, Tensor};
use crate::config::{HeadConfig, TaughtHead, TaughtLevel};
use crate::inspect::{FINGERPRINT_PIXELS, Fingerprint};
use crate::model::schema;
use crate::weights::names::{TAUGHT, TEACHING};
use crate::weights::{Parameter, Role, Stored, Weights};
use crate::{Error, ModelConfig, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The recipe of models that this module's [`Teacher`](super::Teacher) makes.
const RECIPE: &str = "taught";

/// How a model was taught.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub recipe: String,
    /// The photographs' names.
    pub images: Vec<String>,
    /// SHA-256 of the photographs' files; empty where one was no file.
    pub sha256: Vec<String>,
    #[serde(default)]
    pub light: LightDecision,
    pub poses: PoseDecision,
    pub poses_asked: String,
    pub effort: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    pub false_alarm_rate: f64,
    pub seed: u64,
    /// How many of the photographs, the last ones, were compared with the prototypes of the others.
    pub held_out: usize,
}

impl Record {
    /// The record of these photographs, in the order they were taken.
    pub(super) fn of(
        photographs: &[&Identity],
        held_out: &HeldOut,
        light: LightDecision,
        poses: PoseDecision,
        options: &TeachOptions,
    ) -> Self {
        let hashes = photographs.iter().map(|photograph| photograph.sha256.clone());
        Self {
            recipe: RECIPE.to_owned(),
            images: photographs.iter().map(|photograph| photograph.name.clone()).collect(),
            sha256: hashes.collect::<Option<_>>().unwrap_or_default(),
            light,
            poses,
            poses_asked: options.poses.name().to_owned(),
            effort: options.effort.name().to_owned(),
            max_bytes: options.max_bytes,
            false_alarm_rate: options.false_alarm_rate,
            seed: options.seed,
            held_out: held_out.single_views().count(),
        }
    }
}

/// What a taught head and this memory take of a file, at most, in bytes.
pub(super) struct Room {
    /// Whatever the prototypes.
    pub fixed: u64,
    /// For each prototype that all levels have.
    pub each_prototype: u64,
}

impl Room {
    /// Of a model of so many photographs.
    pub(super) fn of(config: &ModelConfig, photographs: u64) -> Self {
        // Names and hashes of photographs, the metadata's other entries.
        const NAMED: u64 = 512;
        const METADATA: u64 = 8192;
        let levels = config.levels().len() as u64;
        let per_photograph = NAMED + 2 * (levels * u64::from(config.grid).pow(2) + FINGERPRINT_PIXELS as u64);
        let fixed = METADATA + 5 * levels * HEADER_BYTES + photographs * per_photograph;
        // The photograph that a prototype is of is a number of each level.
        let mut room = Self { fixed, each_prototype: 4 * levels };
        for Parameter { role, shape, .. } in schema::head(config).tensors() {
            match (role, &shape[..]) {
                (Role::Prototypes, [channels, _]) => room.each_prototype += 2 * *channels as u64,
                _ => room.fixed += 4 * shape.iter().product::<usize>() as u64,
            }
        }
        room
    }
}

/// A model that was taught before.
pub(super) struct Former {
    pub photographs: Vec<Identity>,
    pub record: Record,
    pub banks: Vec<Bank>,
    pub held_out: HeldOut,
    /// All of the file's metadata.
    pub metadata: BTreeMap<String, String>,
}

impl Former {
    /// Reads a taught model's file.
    ///
    /// # Errors
    /// [`Error::Config`] for a model that was not taught, and those of [`Weights::read`].
    pub(super) fn read(model: &Weights, config: &ModelConfig) -> Result<Self> {
        let metadata: BTreeMap<String, String> =
            model.metadata().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let record = metadata.get("pcsnet.training").map(String::as_str).unwrap_or_default();
        let record: Record = serde_json::from_str(record).map_err(|_| not_taught())?;
        if record.recipe != RECIPE || record.held_out > record.images.len() {
            return Err(not_taught());
        }
        let HeadConfig::Taught(TaughtHead { levels }) = &config.head else { return Err(not_taught()) };
        let banks = levels.iter().map(|level| bank(model, config, *level)).collect::<Result<_>>()?;
        let grid = config.grid as usize;
        let shape = [record.held_out, levels.len(), grid, grid];
        let distances = model.read(&format!("{TEACHING}held_out"), &shape)?;
        let mut held_out = HeldOut::new(config.grid, levels.len());
        for photograph in distances.chunks_exact(levels.len() * grid * grid) {
            held_out.add(vec![photograph.chunks_exact(grid * grid).map(<[f32]>::to_vec).collect()]);
        }
        let count = record.images.len();
        let fingerprints = model.read(&format!("{TEACHING}fingerprints"), &[count, FINGERPRINT_PIXELS])?;
        let photographs = record.images.iter().zip(fingerprints.chunks_exact(FINGERPRINT_PIXELS)).enumerate();
        let photographs = photographs.map(|(index, (name, fingerprint))| Identity {
            name: name.clone(),
            sha256: record.sha256.get(index).cloned(),
            fingerprint: Fingerprint::of_values(fingerprint),
        });
        let photographs = photographs.collect();
        Ok(Self { photographs, record, banks, held_out, metadata })
    }
}

fn not_taught() -> Error {
    Error::Config(
        "the model was not made by teaching, or by a version that kept nothing to add photographs to: teach it anew, \
         with all photographs"
            .to_owned(),
    )
}

fn bank(model: &Weights, config: &ModelConfig, TaughtLevel { level, prototypes }: TaughtLevel) -> Result<Bank> {
    let (name, prototypes) = (format!("layer_{level}"), prototypes as usize);
    let channels = config.level_channels()[level as usize - 1] as usize;
    let vector = |name: String, length: usize| model.read(&name, &[length]);
    let mean = vector(format!("{TAUGHT}{name}.mean"), channels)?;
    let deviation = vector(format!("{TAUGHT}{name}.deviation"), channels)?;
    let whitening = if config.backbone.has_linear_levels() {
        Whitening::of_columns(&model.read(&format!("{TAUGHT}{name}.whitening"), &[channels; 2])?, channels)
    } else {
        Whitening::none(channels)
    };
    let columns = model.read(&format!("{TAUGHT}{name}.C"), &[channels, prototypes])?;
    let owners = vector(format!("{TEACHING}{name}.owners"), prototypes)?;
    let owners = owners.into_iter().map(|owner| owner as u32).collect();
    Ok(Bank::new([mean, deviation], whitening, transposed(&columns, prototypes), owners))
}

/// The tensors that a later teacher reads.
pub(super) fn tensors(
    photographs: &[&Identity],
    banks: &[Bank],
    held_out: &HeldOut,
    config: &ModelConfig,
) -> Vec<Tensor> {
    let owners = config.levels().into_iter().zip(banks).map(|(level, bank)| {
        let values = bank.owners().iter().map(|owner| *owner as f32).collect();
        Tensor::new(format!("{TEACHING}layer_{}.owners", level + 1), &[bank.count()], values, Stored::F32)
    });
    let shape = [held_out.single_views().count() as u32, banks.len() as u32, config.grid, config.grid];
    let distances = held_out.single_views().flatten().flatten().copied().collect();
    let held_out = Tensor::new(format!("{TEACHING}held_out"), &shape, distances, Stored::F16);
    let shape = [photographs.len() as u32, FINGERPRINT_PIXELS as u32];
    let pixels = photographs.iter().flat_map(|photograph| photograph.fingerprint.values()).collect();
    // Levels of grey, which halves hold exactly.
    let fingerprints = Tensor::new(format!("{TEACHING}fingerprints"), &shape, pixels, Stored::F16);
    owners.chain([held_out, fingerprints]).collect()
}
