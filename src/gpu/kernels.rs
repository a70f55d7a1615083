//! The choices between kernels that compute the same.

use super::tiling::{Arithmetic, Factors, MatrixUnits, Tiling};
use serde::{Deserialize, Serialize};

/// Which of the matrix product's shapes a device gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulKernel {
    /// Tiles in workgroup memory: discrete, integrated and mobile GPUs.
    Tiled,
    /// Large register tiles, no workgroup memory: adapters that run shaders on a CPU.
    Register,
    /// Large register tiles with operands in textures, and rows shared within subgroups of exactly 8 invocations.
    RegisterTexture,
    /// Small register tiles, no workgroup memory: the CPU adapter of browsers, which takes long over barriers and over
    /// compiling large tiles.
    Direct,
}

impl MatmulKernel {
    /// The shape that suits a device without measuring.
    pub fn for_device(device: &wgpu::Device) -> Self {
        let info = device.adapter_info();
        let subgroups_of_8 = device.features().contains(wgpu::Features::SUBGROUP)
            && info.subgroup_min_size == 8
            && info.subgroup_max_size == 8;
        match info.device_type {
            wgpu::DeviceType::Cpu if info.backend == wgpu::Backend::BrowserWebGpu => Self::Direct,
            wgpu::DeviceType::Cpu if subgroups_of_8 => Self::RegisterTexture,
            wgpu::DeviceType::Cpu => Self::Register,
            _ => Self::Tiled,
        }
    }

    /// Its tilings of products whose factors are stored so, on a device with matrix units of a kind or none; the first
    /// suits most layers and every device that has f16 where they are multiplied so.
    pub(crate) fn tilings(self, factors: Factors, units: Option<MatrixUnits>) -> Vec<Tiling> {
        const TILED: [Tiling; 5] = [
            Tiling::staged(64, 64),
            Tiling::staged(32, 64),
            Tiling::staged(128, 64),
            Tiling::staged(128, 128),
            Tiling::DIRECT,
        ];
        const HALVES: [Tiling; 4] = [
            Tiling::staged(64, 64).multiplying(Arithmetic::Halves),
            Tiling::staged(32, 64).multiplying(Arithmetic::Halves),
            Tiling::staged(128, 64).multiplying(Arithmetic::Halves),
            Tiling::staged(128, 128).multiplying(Arithmetic::Halves),
        ];
        match self {
            Self::Tiled => {
                let halves = if factors == Factors::HalfSums { &HALVES[..] } else { &[] };
                let units = units.filter(|_| factors != Factors::F32);
                let on_units = units.into_iter().flat_map(Tiling::on_units);
                halves.iter().copied().chain(TILED).chain(on_units).collect()
            }
            Self::Register => vec![Tiling::in_registers("matmul_register")],
            Self::RegisterTexture => vec![Tiling::in_registers("matmul_texture")],
            Self::Direct => vec![Tiling::DIRECT],
        }
    }

    /// Channels of an invocation of Winograd's transforms: GPUs hold no more patches of 4 in registers, and where a
    /// browser compiles for its CPU adapter, fewer are compiled sooner. To other CPU adapters it is all the same.
    pub(crate) fn transformed_channels(self) -> u32 {
        match self {
            Self::Tiled | Self::Direct => 2,
            Self::Register | Self::RegisterTexture => 4,
        }
    }

    /// Which of Winograd's algorithms suits an image of `side` x `side` pixels without measuring: a small one is
    /// computed sooner than the larger weights are read, and the larger tiles fit it badly. The transforms of the
    /// smaller are compiled sooner, too.
    pub(crate) fn winograd(self, side: u32) -> Winograd {
        if side < 24 || self == Self::Direct { Winograd::F2x2 } else { Winograd::F4x4 }
    }

    /// Whether its operands are textures.
    pub(crate) fn reads_textures(self) -> bool {
        self == Self::RegisterTexture
    }
}

/// Which of Winograd's algorithms computes 3 x 3 convolutions of stride 1 (Lavin and Gray, "Fast Algorithms for
/// Convolutional Neural Networks", 2015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Winograd {
    /// F(2x2, 3x3): 2.25 times fewer multiplications, weights 16/9 as large as the convolution's.
    F2x2,
    /// F(4x4, 3x3): 4 times fewer multiplications, weights 4 times as large.
    #[default]
    F4x4,
}

impl Winograd {
    /// The shaders of the transforms of input, output and weights.
    pub(crate) fn shaders(self) -> [&'static str; 3] {
        match self {
            Self::F2x2 => ["winograd2_input", "winograd2_output", "winograd2_weights"],
            Self::F4x4 => ["winograd4_input", "winograd4_output", "winograd4_weights"],
        }
    }

    /// The shaders of the way back to gradients of weights: through the transforms of output and weights.
    pub(crate) fn gradient_shaders(self) -> [&'static str; 2] {
        match self {
            Self::F2x2 => ["winograd2_output_gradient", "winograd2_weights_gradient"],
            Self::F4x4 => ["winograd4_output_gradient", "winograd4_weights_gradient"],
        }
    }

    /// Side of the square of output pixels that is computed at once.
    pub(crate) fn tile(self) -> u32 {
        match self {
            Self::F2x2 => 2,
            Self::F4x4 => 4,
        }
    }

    /// Positions of a transformed patch, and matrices of transformed weights.
    pub(crate) fn positions(self) -> u32 {
        (self.tile() + 2).pow(2)
    }
}
