//! A model that was taught, and what was decided on the way.

use super::aspects::{self, OddAspect, odd_aspects};
use super::bank::Bank;
use super::held_out::{HeldOut, Scores};
use super::light::LightDecision;
use super::memory::{self, Record};
use super::poses::PoseDecision;
use super::{Identity, Teacher, Tensor};
use crate::config::{HeadConfig, TaughtHead, TaughtLevel};
use crate::image::ValueRange;
use crate::inspect::{Calibrated, Origin, Verdict};
use crate::weights::{NamedTensor, Weights, serialize};
use crate::{ModelConfig, Result};
use std::collections::BTreeMap;

/// A taught model, as a file has it.
#[derive(Debug)]
pub struct TaughtModel {
    bytes: Vec<u8>,
    summary: TeachSummary,
}

/// What was decided in teaching, and why.
#[derive(Clone, Debug)]
pub struct TeachSummary {
    /// Different photographs the model was made of.
    pub photographs: usize,
    /// How many of them were added to a former model; 0 where there was none.
    pub added: usize,
    /// Photographs that were copies of others.
    pub copies: Vec<String>,
    /// Photographs of another shape than most of those that were added.
    pub odd_aspects: Vec<OddAspect>,
    /// Whether photographs are brought to one light.
    pub light: LightDecision,
    /// Whether parts lie at any angle.
    pub poses: PoseDecision,
    /// How many prototypes each level has.
    pub prototypes: Vec<u32>,
    /// The threshold, and what it was found from.
    pub calibrated: Calibrated,
    /// The photographs' scores, each compared with the others alone, in the order they were taken. Where a model of a
    /// single photograph was taught more, that one is missing: it was compared with itself.
    pub held_out: Vec<HeldOutScore>,
    /// How many defects the threshold would find, judged by photographs held out with one that was made up.
    pub pseudo_defects: PseudoDefects,
}

/// Copies of photographs held out, each with a defect of the usual kinds that was drawn at random: a pasted rectangle,
/// spots or scratches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PseudoDefects {
    /// How many there were, at most one of a photograph.
    pub tried: usize,
    /// How many of them the threshold fails.
    pub found: usize,
}

/// Pseudo-defects from which on they tell whether others would be found.
const ENOUGH_PSEUDO_DEFECTS: usize = 4;

/// The score of a photograph that was compared with the others alone.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOutScore {
    /// The photograph's name.
    pub name: String,
    /// Its score as photographed.
    pub score: f32,
    /// Whether it is far from all others: perhaps no good part.
    pub disagrees: bool,
}

/// What teaching found.
pub(super) struct Found {
    pub config: ModelConfig,
    pub light: LightDecision,
    pub decision: PoseDecision,
    pub banks: Vec<Bank>,
    pub head: Vec<Tensor>,
    pub held_out: HeldOut,
    pub scores: Scores,
    pub calibrated: Calibrated,
}

impl TaughtModel {
    pub(super) fn new(teacher: &Teacher, found: Found) -> Result<Self> {
        let Found { config, light, decision, banks, head, held_out, scores, calibrated } = found;
        let Scores { parts, pseudo_defects } = scores;
        let photographs: Vec<&Identity> = teacher.identities().collect();
        let memory = memory::tensors(&photographs, &banks, &held_out, &config);
        let tensors = teacher.tensors.iter().chain(&head).chain(&memory);
        let tensors: Vec<NamedTensor<'_>> = tensors.map(Tensor::named).collect();
        let record = Record::of(&photographs, &held_out, light, decision, &teacher.options);
        let bytes = serialize(&tensors, &metadata(teacher, &config, &record, &calibrated))?;
        let scores: Vec<f32> = parts.iter().filter_map(|views| views.first()).map(|view| view.score).collect();
        let held_out = photographs[photographs.len() - scores.len()..].iter().zip(&scores).enumerate();
        let held_out = held_out.map(|(index, (photograph, &score))| HeldOutScore {
            name: photograph.name.clone(),
            score,
            disagrees: calibrated.outliers.contains(&index),
        });
        let held_out = held_out.collect();
        let is_found = |score: &&f32| calibrated.calibration.verdict(**score) == Some(Verdict::Fail);
        let found = pseudo_defects.iter().filter(is_found).count();
        let pseudo_defects = PseudoDefects { tried: pseudo_defects.len(), found };
        let aspects = teacher.photographs.iter().map(|photograph| (&*photograph.identity.name, photograph.aspect));
        let summary = TeachSummary {
            photographs: photographs.len(),
            added: teacher.former.as_ref().map_or(0, |_| teacher.photographs.len()),
            copies: teacher.copies.clone(),
            odd_aspects: odd_aspects(aspects),
            light,
            poses: decision,
            prototypes: banks.iter().map(|bank| bank.distinct).collect(),
            calibrated,
            held_out,
            pseudo_defects,
        };
        Ok(Self { bytes, summary })
    }

    /// What was decided, and why.
    pub fn summary(&self) -> &TeachSummary {
        &self.summary
    }

    /// The model as a safetensors file, with all that inspecting needs: backbone, head, threshold and colours.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The model, ready for [`Engine::load`](crate::Engine::load).
    ///
    /// # Errors
    /// Those of [`Weights::from_bytes`].
    pub fn weights(&self) -> Result<Weights> {
        Weights::from_bytes("the taught model", self.bytes.clone())
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

/// The sizes of the model, with as many prototypes as differ.
pub(super) fn config_of(config: &ModelConfig, banks: &[Bank]) -> ModelConfig {
    let levels = config.levels().into_iter().zip(banks);
    let levels = levels.map(|(level, bank)| TaughtLevel { level: level as u32 + 1, prototypes: bank.count() });
    ModelConfig { head: HeadConfig::Taught(TaughtHead { levels: levels.collect() }), ..config.clone() }
}

/// The key and value of a model file's metadata that state its sizes.
pub(crate) fn config_metadata(config: &ModelConfig) -> (String, String) {
    // Numbers and names: nothing that JSON could not hold.
    ("pcsnet.config".to_owned(), serde_json::to_string(config).unwrap_or_default())
}

/// The metadata of the model's file: those of a former model, as far as they still hold, and what was found.
fn metadata(
    teacher: &Teacher,
    config: &ModelConfig,
    record: &Record,
    calibrated: &Calibrated,
) -> BTreeMap<String, String> {
    let mut metadata = teacher.former.as_ref().map(|former| former.metadata.clone()).unwrap_or_default();
    for (key, value) in calibrated.to_metadata() {
        match value {
            Some(value) => metadata.insert(key, value),
            None => metadata.remove(&key),
        };
    }
    // Numbers and names: nothing that JSON could not hold.
    metadata.insert("pcsnet.training".to_owned(), serde_json::to_string(record).unwrap_or_default());
    metadata.extend([config_metadata(config)]);
    metadata.extend(teacher.options.range.map(ValueRange::to_metadata));
    metadata
}

impl TeachSummary {
    /// What a user should know before relying on the model, in sentences.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for HeldOutScore { name, score, .. } in self.held_out.iter().filter(|part| part.disagrees) {
            warnings.push(format!(
                "{name} is far from the other photographs (score {score:.3}): if it shows a defect, teach again \
                 without it"
            ));
        }
        if !self.copies.is_empty() {
            warnings.push(format!("copies of other photographs count once: {}", self.copies.join(", ")));
        }
        warnings.extend(aspects::warning(&self.odd_aspects));
        match self.photographs {
            1 => warnings.push(
                "one photograph does not show how good parts differ: the threshold is a guess, made of slightly \
                 altered copies"
                    .to_owned(),
            ),
            2..4 => warnings.push(format!(
                "{} photographs show little of how good parts differ: the threshold rests on how other parts do",
                self.photographs
            )),
            _ => {}
        }
        if self.poses.assumed {
            warnings.push(
                "too few photographs to tell how parts lie, so any angle is taken for good: say `poses` as `fixed` \
                 where a turned part is a bad one"
                    .to_owned(),
            );
        }
        let PseudoDefects { tried, found } = self.pseudo_defects;
        if tried >= ENOUGH_PSEUDO_DEFECTS && 2 * found < tried {
            warnings.push(format!(
                "defects of the usual kinds would hardly be told apart: of {tried} that were made up, {found} would be \
                 found. Photograph parts as alike as can be (place, distance, light), with the part filling the \
                 picture, or choose the effort `accurate`"
            ));
        }
        if let Origin::Good { found, .. } = &self.calibrated.origin
            && found.interval[1] > 4.0 * found.rate
        {
            warnings.push(format!(
                "between {:.1} and {:.0} % of good parts may fail: more photographs make the threshold surer",
                100.0 * found.interval[0],
                100.0 * found.interval[1]
            ));
        }
        warnings
    }
}
