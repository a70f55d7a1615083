//! How a model is kept on the GPU.

use crate::gpu::{Format, Gpu, Winograd};
use crate::parameters::Storage;
use crate::{Error, Result};

/// How a model is kept on the GPU: what [`Engine::load`](crate::Engine::load) can be told. A [`Precision`] alone will
/// do in its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The numbers that weights and activations are stored as.
    pub precision: Precision,
    /// How 3 x 3 convolutions are computed; by default each as was measured to be the fastest, or else with the larger
    /// tiles where the image is large enough.
    pub winograd: Option<Winograd>,
    /// GPU memory for the transformed weights of the model's 3 x 3 convolutions, in bytes; by default as much as they
    /// take. Convolutions that it has no room for keep their weights as the file has them, a quarter as large (9/16 for
    /// [`Winograd::F2x2`]), and transform them into scratch memory, which all of them share, each time they run.
    pub winograd_bytes: Option<u64>,
}

impl LoadOptions {
    /// How constants are stored for a device.
    pub(crate) fn storage(self, gpu: &Gpu) -> Storage<'_> {
        let Self { precision, winograd, winograd_bytes } = self;
        Storage { gpu: Some(gpu), format: precision.weights(), winograd, winograd_bytes }
    }
}

impl From<Precision> for LoadOptions {
    fn from(precision: Precision) -> Self {
        Self { precision, ..Self::default() }
    }
}

/// How a model's weights and activations are kept on the GPU. Arithmetic is 32-bit in all but
/// [`Precision::F16Products`], and no device feature is needed. On
/// [matrix units](crate::EngineOptions::matrix_units), where a host asks for them, factors that are stored as 16-bit
/// floats are multiplied as they are, and added as 32-bit ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Weights and activations as 32-bit floats: equal to PyTorch's float32 results up to rounding.
    #[default]
    F32,
    /// Weights packed as 16-bit floats, half the memory. Those of the last convolution stay 32-bit: rounding there
    /// reaches the anomaly map undiminished.
    F16,
    /// Weights as in [`Precision::F16`], and activations as 16-bit floats where that keeps the full-size network's
    /// anomaly map within 1 % of its standard deviation: the backbone's, and the widest of the decoder's. The way from
    /// descriptors to distances, the coarse bins and the decoder's last layers stay 32-bit.
    F16Activations,
    /// Weights and activations as in [`Precision::F16Activations`], and where both factors of a product are stored as
    /// 16-bit floats they are multiplied so, twice as many at a time on most GPUs: sums of 16 products are 16-bit
    /// floats, and 32-bit floats beyond. Products inside Winograd's transforms, which magnify their rounding, and those
    /// on adapters that run shaders on a CPU stay 32-bit. It takes a device with `SHADER_F16`.
    F16Products,
}

impl Precision {
    /// Every precision there is.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::F16Activations, Self::F16Products];

    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::F16Activations => "f16-activations",
            Self::F16Products => "f16-products",
        }
    }

    /// The precision of this name.
    ///
    /// # Errors
    /// [`Error::Input`] with the known names.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("precision", name, &Self::ALL.map(Self::name));
        Self::ALL.into_iter().find(|precision| precision.name() == name).ok_or_else(unknown)
    }

    pub(super) fn weights(self) -> Format {
        match self {
            Self::F32 => Format::F32,
            Self::F16 | Self::F16Activations | Self::F16Products => Format::F16,
        }
    }

    pub(super) fn activations(self) -> Format {
        match self {
            Self::F32 | Self::F16 => Format::F32,
            Self::F16Activations | Self::F16Products => Format::F16,
        }
    }

    /// What is multiplied where both factors are stored as f16.
    pub(super) fn factors(self) -> Format {
        match self {
            Self::F32 | Self::F16 | Self::F16Activations => Format::F32,
            Self::F16Products => Format::F16,
        }
    }

    /// Makes sure that a device can compute so.
    pub(super) fn check(self, device: &wgpu::Device) -> Result<()> {
        if self.factors() == Format::F32 || device.features().contains(wgpu::Features::SHADER_F16) {
            return Ok(());
        }
        Err(Error::Input {
            what: format!("precision `{}`", self.name()),
            expected: "a device made with the feature `SHADER_F16`".to_owned(),
            found: format!("{} without it", device.adapter_info().name),
        })
    }
}
