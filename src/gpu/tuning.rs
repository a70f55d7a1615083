//! What was measured on a device, and the choices that follow from it. [`crate::Engine::tune`] measures.

use super::kernels::{Tiling, Winograd};
use super::shaders;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Which kernels were fastest on a device, layer by layer: what [`Engine::tune`](crate::Engine::tune) measured, to be
/// kept for the next time.
///
/// It holds for one adapter, driver and set of shaders; an engine on anything else makes no use of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    #[serde(flatten)]
    on: Circumstances,
    layers: Vec<Tuned>,
}

/// What measurements hold for.
#[derive(Clone, Debug, PartialEq, Hash, Serialize, Deserialize)]
struct Circumstances {
    adapter: String,
    backend: String,
    driver: String,
    /// Hash of the shaders' text.
    shaders: u64,
}

impl Circumstances {
    fn of(device: &wgpu::Device) -> Self {
        let info = device.adapter_info();
        let mut hasher = DefaultHasher::new();
        shaders::hash(&mut hasher);
        Self {
            adapter: info.name,
            backend: info.backend.to_string(),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            shaders: hasher.finish(),
        }
    }
}

/// A convolution, as far as its speed depends on it. A matrix product is a pointwise one of an image a pixel wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub kernel: u32,
    pub stride: u32,
    pub batch: u32,
    pub height: u32,
    pub width: u32,
    pub inputs: u32,
    pub outputs: u32,
    /// Whether the weights are packed as f16.
    pub f16: bool,
    /// Whether factors are multiplied as f16.
    #[serde(default)]
    pub halves: bool,
}

/// The fastest way to compute a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    pub layer: Layer,
    /// [`Tiling::name`].
    pub tiling: String,
    /// The algorithm of 3 x 3 convolutions of stride 1.
    pub winograd: Option<Winograd>,
    pub nanoseconds: u64,
}

impl Layer {
    /// The product of `rows` x `depth` and `depth` x `columns`.
    pub(crate) fn product([rows, depth, columns]: [u32; 3], f16: bool) -> Self {
        let (inputs, outputs) = (depth, columns);
        Self { kernel: 1, stride: 1, batch: 1, height: rows, width: 1, inputs, outputs, f16, halves: false }
    }

    /// Whether it is one of those that Winograd's algorithms compute.
    pub(crate) fn is_winograd(&self) -> bool {
        self.kernel == 3 && self.stride == 1
    }
}

impl Tuning {
    /// A tuning of a device on which nothing was measured yet.
    pub fn new(device: &wgpu::Device) -> Self {
        Self { on: Circumstances::of(device), layers: Vec::new() }
    }

    /// A name for its file: letters, digits and hyphens, another one for every device, driver and set of shaders.
    pub fn id(&self) -> String {
        let mut hasher = DefaultHasher::new();
        self.on.hash(&mut hasher);
        format!("{}-{:016x}", self.on.backend, hasher.finish())
    }

    /// Whether it was measured on the same adapter, driver and shaders.
    pub fn is_of(&self, device: &wgpu::Device) -> bool {
        self.on == Circumstances::of(device)
    }

    /// The tuning as text.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("numbers and names always serialise")
    }

    /// The tuning that a text holds.
    ///
    /// # Errors
    /// [`Error::Tuning`] for anything but what [`Tuning::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| Error::Tuning(error.to_string()))
    }

    /// The layers measured.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    pub(crate) fn get(&self, layer: &Layer) -> Option<&Tuned> {
        self.layers.iter().find(|tuned| tuned.layer == *layer)
    }

    pub(crate) fn insert(&mut self, tuned: Tuned) {
        self.layers.retain(|known| known.layer != tuned.layer);
        self.layers.push(tuned);
    }

    /// The tiling of a layer, with which algorithm it was measured to be the fastest.
    pub(crate) fn tiling(&self, layer: &Layer, winograd: Option<Winograd>, tilings: &[Tiling]) -> Option<Tiling> {
        let tuned = self.get(layer).filter(|tuned| tuned.winograd == winograd)?;
        tilings.iter().find(|tiling| tiling.name() == tuned.tiling).copied()
    }

    /// Which of Winograd's algorithms is the fastest for a layer, whatever the batch and the factors: weights are laid
    /// out before they are known.
    pub(crate) fn winograd(&self, layer: &Layer) -> Option<Winograd> {
        let Layer { batch, halves, .. } = *layer;
        let same = |tuned: &&Tuned| Layer { batch, halves, ..tuned.layer } == *layer;
        self.layers.iter().find(same).and_then(|tuned| tuned.winograd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circumstances() -> Circumstances {
        let [adapter, backend, driver] = ["GPU", "vulkan", "1.2"].map(str::to_owned);
        Circumstances { adapter, backend, driver, shaders: 3 }
    }

    fn tuning() -> Tuning {
        Tuning { on: circumstances(), layers: Vec::new() }
    }

    #[test]
    fn survives_its_file() {
        let mut tuning = tuning();
        let layer = Layer { kernel: 3, ..Layer::product([60, 896, 896], true) };
        let tiling = "matmul_direct_64x64".to_owned();
        tuning.insert(Tuned { layer, tiling, winograd: Some(Winograd::F2x2), nanoseconds: 12_500 });
        assert_eq!(Tuning::from_json(&tuning.to_json()).expect("written just now"), tuning);
        assert!(Tuning::from_json("{}").is_err());
    }

    #[test]
    fn ids_differ() {
        let first = tuning();
        let others = [
            Circumstances { driver: "1.3".to_owned(), ..circumstances() },
            Circumstances { adapter: "other".to_owned(), ..circumstances() },
            Circumstances { shaders: 4, ..circumstances() },
        ]
        .map(|on| Tuning { on, ..tuning() });
        assert_eq!(first.id(), tuning().id());
        assert!(others.iter().all(|other| other.id() != first.id()));
    }

    #[test]
    fn weights_are_laid_out_for_any_batch() {
        let mut tuning = tuning();
        let layer = Layer { kernel: 3, batch: 8, ..Layer::product([60, 896, 896], false) };
        let tiling = "matmul_tiled_64x64".to_owned();
        tuning.insert(Tuned { layer, tiling, winograd: Some(Winograd::F2x2), nanoseconds: 1000 });
        assert_eq!(tuning.winograd(&Layer { batch: 1, ..layer }), Some(Winograd::F2x2));
        assert_eq!(tuning.winograd(&Layer { height: 30, ..layer }), None);
    }
}
