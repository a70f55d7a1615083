//! What was measured on a device, and the choices that follow from it. [`crate::Engine::tune`] measures.

use super::kernels::Winograd;
use super::shaders;
use super::tiling::{Factors, Tiling};
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
    #[serde(default)]
    pub factors: Factors,
}

/// What was measured of a layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tuned {
    pub layer: Layer,
    /// The ways of computing it, the usual one first.
    pub ways: Vec<MeasuredWay>,
}

/// A way of computing a layer, and how long it took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeasuredWay {
    /// [`Tiling::name`].
    pub tiling: String,
    /// The algorithm of 3 x 3 convolutions of stride 1.
    pub winograd: Option<Winograd>,
    /// `None` where the result was wrong or the driver refused it.
    pub nanoseconds: Option<u64>,
}

/// Another way of computing a layer must be faster than the usual one by this factor: less is noise.
const WORTHWHILE: f64 = 0.97;

impl Tuned {
    /// The fastest of the ways that suit.
    fn fastest(&self, suits: impl Fn(&MeasuredWay) -> bool) -> Option<&MeasuredWay> {
        let mut best: Option<(&MeasuredWay, f64)> = None;
        for way in self.ways.iter().filter(|way| suits(way)) {
            let Some(nanoseconds) = way.nanoseconds.map(|nanoseconds| nanoseconds as f64) else { continue };
            if best.is_none_or(|(_, least)| nanoseconds < WORTHWHILE * least) {
                best = Some((way, nanoseconds));
            }
        }
        best.map(|(way, _)| way)
    }
}

impl Layer {
    /// The product of `rows` x `depth` and `depth` x `columns`.
    pub(crate) fn product([rows, depth, columns]: [u32; 3], f16: bool) -> Self {
        let (inputs, outputs) = (depth, columns);
        Self { kernel: 1, stride: 1, batch: 1, height: rows, width: 1, inputs, outputs, f16, factors: Factors::F32 }
    }

    /// The product that computes it, by one of Winograd's algorithms if it is so: `[matrices, rows, depth, columns]`.
    pub(crate) fn as_product(&self, winograd: Option<Winograd>) -> [u32; 4] {
        let Self { kernel, stride, batch, height, width, inputs, outputs, .. } = *self;
        let pixels = |side: u32| batch * height.div_ceil(side) * width.div_ceil(side);
        match winograd {
            Some(winograd) => [winograd.positions(), pixels(winograd.tile()), inputs, outputs],
            None => [1, pixels(stride), kernel * kernel * inputs, outputs],
        }
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

    fn get(&self, layer: &Layer) -> Option<&Tuned> {
        self.layers.iter().find(|tuned| tuned.layer == *layer)
    }

    /// Whether a way of computing a layer was measured, or found not to work.
    pub(crate) fn knows(&self, layer: &Layer, winograd: Option<Winograd>, tiling: &Tiling) -> bool {
        let is_it = |way: &MeasuredWay| way.winograd == winograd && way.tiling == tiling.name();
        self.get(layer).is_some_and(|tuned| tuned.ways.iter().any(is_it))
    }

    pub(crate) fn insert(&mut self, tuned: Tuned) {
        self.layers.retain(|known| known.layer != tuned.layer);
        self.layers.push(tuned);
    }

    /// The fastest of some tilings for a layer that is computed by one of Winograd's algorithms, or none of them.
    pub(crate) fn tiling(&self, layer: &Layer, winograd: Option<Winograd>, tilings: &[Tiling]) -> Option<Tiling> {
        let tuned = self.get(layer)?;
        let names: Vec<String> = tilings.iter().map(Tiling::name).collect();
        let place = |way: &MeasuredWay| names.iter().position(|name| *name == way.tiling);
        let way = tuned.fastest(|way| way.winograd == winograd && place(way).is_some())?;
        place(way).map(|place| tilings[place])
    }

    /// Which of Winograd's algorithms is the fastest for a layer, whatever the batch and the factors: weights are laid
    /// out before they are known. What was measured last counts.
    pub(crate) fn winograd(&self, layer: &Layer) -> Option<Winograd> {
        let Layer { batch, factors, .. } = *layer;
        let same = |tuned: &&Tuned| Layer { batch, factors, ..tuned.layer } == *layer;
        self.layers.iter().rev().find(same).and_then(|tuned| tuned.fastest(|_| true)?.winograd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::MatmulKernel;

    fn circumstances() -> Circumstances {
        let [adapter, backend, driver] = ["GPU", "vulkan", "1.2"].map(str::to_owned);
        Circumstances { adapter, backend, driver, shaders: 3 }
    }

    fn tuning() -> Tuning {
        Tuning { on: circumstances(), layers: Vec::new() }
    }

    fn way(tiling: &str, winograd: Winograd, nanoseconds: Option<u64>) -> MeasuredWay {
        MeasuredWay { tiling: tiling.to_owned(), winograd: Some(winograd), nanoseconds }
    }

    #[test]
    fn survives_its_file() {
        let mut tuning = tuning();
        let layer = Layer { kernel: 3, ..Layer::product([60, 896, 896], true) };
        let ways = vec![way("matmul_direct_64x64", Winograd::F2x2, Some(12_500)), way("a", Winograd::F4x4, None)];
        tuning.insert(Tuned { layer, ways });
        assert_eq!(Tuning::from_json(&tuning.to_json()).expect("written just now"), tuning);
        assert!(Tuning::from_json("{}").is_err());
    }

    /// The fastest of what there is, the usual one where others are no faster by more than noise.
    #[test]
    fn the_fastest_way_is_chosen() {
        let tilings = MatmulKernel::Tiled.tilings(Factors::F32, None);
        let [usual, other, third] = [0, 1, 2].map(|index| tilings[index].name());
        let layer = Layer { kernel: 3, ..Layer::product([60, 896, 896], false) };
        let mut tuning = tuning();
        let ways = vec![
            way(&usual, Winograd::F4x4, Some(1000)),
            way(&other, Winograd::F4x4, Some(980)),
            way(&third, Winograd::F4x4, None),
            way(&usual, Winograd::F2x2, Some(2000)),
            way(&other, Winograd::F2x2, Some(1500)),
            way("of another version", Winograd::F2x2, Some(100)),
        ];
        tuning.insert(Tuned { layer, ways });
        let chosen = |winograd, tilings| tuning.tiling(&layer, Some(winograd), tilings).map(|tiling| tiling.name());
        assert_eq!(chosen(Winograd::F4x4, &tilings), Some(usual.clone()));
        assert_eq!(chosen(Winograd::F2x2, &tilings), Some(other));
        assert_eq!(chosen(Winograd::F2x2, &tilings[..1]), Some(usual));
        assert!(tuning.knows(&layer, Some(Winograd::F4x4), &tilings[2]));
        assert!(!tuning.knows(&layer, Some(Winograd::F2x2), &tilings[2]));
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
        let ways = vec![way("a", Winograd::F4x4, Some(1000)), way("a", Winograd::F2x2, Some(900))];
        tuning.insert(Tuned { layer, ways });
        assert_eq!(tuning.winograd(&Layer { batch: 1, ..layer }), Some(Winograd::F2x2));
        assert_eq!(tuning.winograd(&Layer { height: 30, ..layer }), None);
    }
}
