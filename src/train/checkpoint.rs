//! What a run leaves behind to go on from, to the same bits.

use super::memory::State;
use super::{Trainer, Training};
use crate::weights::{NamedTensor, Stored, read_tensors, serialize};
use crate::{Error, Result};
use serde_json::json;
use std::hash::Hasher;

const IDENTITY: &str = "pcsnet.run";
const EPOCH: &str = "pcsnet.epoch";
const STEPS: &str = "pcsnet.steps";
const PROTOTYPES: &str = "prototypes";

impl Training {
    /// The state after the last epoch, to be kept in a file: what [`Training::resume`] of a run with the same
    /// photographs and options goes on from.
    ///
    /// # Errors
    /// [`Error::Training`] where values are no numbers or a parameter has had no gradient; [`Error::DeviceLost`] or
    /// [`Error::Gpu`] from the device.
    pub async fn checkpoint(&self) -> Result<Vec<u8>> {
        let state = self.sound_state().await?;
        let names = (0..state.len()).flat_map(|number| ["values", "moments"].map(|what| format!("{what}.{number}")));
        let mut tensors: Vec<(String, &[f32])> = names.zip(state.iter().flatten().map(Vec::as_slice)).collect();
        tensors.push((PROTOTYPES.to_owned(), self.step.prototypes()));
        let sizes: Vec<[usize; 1]> = tensors.iter().map(|(_, values)| [values.len()]).collect();
        let named = tensors.iter().zip(&sizes).map(|((name, values), shape)| NamedTensor {
            name,
            shape,
            values,
            stored: Stored::F32,
        });
        let metadata = [
            (IDENTITY.to_owned(), identity(&self.trainer)),
            (EPOCH.to_owned(), self.epoch.to_string()),
            (STEPS.to_owned(), self.steps.to_string()),
        ];
        serialize(&named.collect::<Vec<_>>(), &metadata.into())
    }

    /// Goes on from a checkpoint; `name` stands for it in errors.
    ///
    /// # Errors
    /// [`Error::Safetensors`] for bytes that are no checkpoint, [`Error::Training`] for one of another run.
    pub async fn resume(&mut self, name: &str, checkpoint: Vec<u8>) -> Result<()> {
        let (mut tensors, metadata) = read_tensors(name, checkpoint)?;
        let refuse = |reason: &str| Err(Error::Training(format!("{name} {reason}; start over without it")));
        let number = |key: &str| metadata.get(key).and_then(|text| text.parse().ok());
        let (Some(epoch), Some(steps)) = (number(EPOCH), number(STEPS)) else { return refuse("is no checkpoint") };
        if metadata.get(IDENTITY) != Some(&identity(&self.trainer)) {
            return refuse("is of a run with other photographs, another backbone or other options");
        }
        if tensors.remove(PROTOTYPES).is_none_or(|prototypes| prototypes != self.step.prototypes()) {
            return refuse("was begun on another device, which chose other prototypes");
        }
        let current = self.step.state(self.gpu()).await?;
        let mut state = State::new();
        for (number, expected) in current.iter().enumerate() {
            let found =
                ["values", "moments"].map(|what| tensors.remove(&format!("{what}.{number}")).unwrap_or_default());
            if found.each_ref().map(Vec::len) != expected.each_ref().map(Vec::len) {
                return refuse("does not hold all of the run");
            }
            state.push(found);
        }
        self.step.set_state(self.gpu(), &state).await?;
        (self.epoch, self.steps) = (epoch, steps);
        Ok(())
    }
}

/// What tells a run from every other.
fn identity(trainer: &Trainer) -> String {
    let mut hash = Fnv::default();
    trainer.photographs.iter().for_each(|photograph| hash.write(photograph.pixels.as_raw()));
    trainer.tensors.iter().for_each(|(_, values)| hash.write(bytemuck::cast_slice(values)));
    let names: Vec<&str> = trainer.photographs.iter().map(|photograph| photograph.name.as_str()).collect();
    let content = format!("{:016x}", hash.finish());
    json!([format!("{:?}", trainer.options), trainer.config, names, content]).to_string()
}

/// The FNV-1a hash, which is the same in every version of every compiler.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
