//! The choices between kernels that compute the same.

use super::Kernel;
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

    /// Its tilings, of products whose factors are f16 with `halves`; the first suits most layers and every device.
    pub(crate) fn tilings(self, halves: bool) -> &'static [Tiling] {
        const TILED: &[Tiling] = &[
            Tiling::staged(64, 64),
            Tiling::staged(32, 64),
            Tiling::staged(128, 64),
            Tiling::staged(128, 128),
            Tiling::DIRECT,
        ];
        const TILED_HALVES: &[Tiling] = &[
            Tiling::staged(64, 64).of_halves(),
            Tiling::staged(32, 64).of_halves(),
            Tiling::staged(128, 64).of_halves(),
            Tiling::staged(128, 128).of_halves(),
        ];
        match self {
            Self::Tiled if halves => TILED_HALVES,
            Self::Tiled => TILED,
            Self::Register => &[Tiling { shader: "matmul_register", rows: 32, ..Tiling::DIRECT }],
            Self::RegisterTexture => &[Tiling { shader: "matmul_texture", rows: 32, ..Tiling::DIRECT }],
            Self::Direct => &[Tiling::DIRECT],
        }
    }

    /// Whether it knows products whose factors are f16.
    pub(crate) fn multiplies_halves(self) -> bool {
        self == Self::Tiled
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

/// A shader that multiplies matrices, and the tile of the output that a workgroup of it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    shader: &'static str,
    /// Whether it stages operands in workgroup memory, in tiles whose size its pipeline is made for.
    staged: bool,
    /// Whether its factors are f16.
    pub halves: bool,
    pub rows: u32,
    pub columns: u32,
}

impl Tiling {
    const DIRECT: Self = Self { shader: "matmul_direct", staged: false, halves: false, rows: 64, columns: 64 };

    const fn staged(rows: u32, columns: u32) -> Self {
        Self { shader: "matmul_tiled", staged: true, halves: false, rows, columns }
    }

    const fn of_halves(self) -> Self {
        Self { halves: true, ..self }
    }

    /// Tells it from the kernel's other tilings.
    pub(crate) fn name(&self) -> String {
        let factors = if self.halves { "_f16" } else { "" };
        format!("{}_{}x{}{factors}", self.shader, self.rows, self.columns)
    }

    /// The names that stand for its factors and its size where its shader knows several.
    fn defines(&self) -> impl Iterator<Item = &'static str> + use<> {
        let Self { halves, rows, columns, .. } = *self;
        let names = [("HALVES", halves), ("ROWS_32", rows == 32), ("ROWS_128", rows == 128), ("WIDE", columns == 128)];
        names.into_iter().filter_map(|(name, defined)| defined.then_some(name))
    }

    /// The kernel with these names defined.
    pub(crate) fn kernel<const N: usize>(&self, names: [(&'static str, bool); N]) -> Kernel {
        let mut kernel = Kernel::with(self.shader, names);
        if self.staged {
            kernel.defines.extend(self.defines());
        }
        kernel
    }

    /// Whether a device has what it needs, and workgroups of it are within its limits.
    pub(crate) fn fits(&self, device: &wgpu::Device) -> bool {
        if self.halves && !device.features().contains(wgpu::Features::SHADER_F16) {
            return false;
        }
        if !self.staged {
            return true;
        }
        let limits = device.limits();
        // As in the shader: 16 deep; 8 rows a row of invocations.
        let bytes_per_value = if self.halves { 2 } else { 4 };
        let (bytes, groups) = (bytes_per_value * 16 * (self.rows + self.columns), self.rows / 8);
        bytes <= limits.max_compute_workgroup_storage_size
            && groups <= limits.max_compute_workgroup_size_y
            && 16 * groups <= limits.max_compute_invocations_per_workgroup
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
