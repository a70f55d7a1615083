//! The choices between kernels that compute the same.

/// Which of the matrix product's shapes a device gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatmulKernel {
    /// Tiles in workgroup memory: discrete, integrated and mobile GPUs.
    Tiled,
    /// Large register tiles, no workgroup memory: adapters that run shaders on a CPU.
    Register,
    /// The same with operands in textures, and rows shared within subgroups of exactly 8 invocations.
    RegisterTexture,
}

impl MatmulKernel {
    /// The shape that suits a device without measuring.
    pub fn for_device(device: &wgpu::Device) -> Self {
        let info = device.adapter_info();
        let subgroups_of_8 = device.features().contains(wgpu::Features::SUBGROUP)
            && info.subgroup_min_size == 8
            && info.subgroup_max_size == 8;
        match info.device_type {
            wgpu::DeviceType::Cpu if subgroups_of_8 => Self::RegisterTexture,
            wgpu::DeviceType::Cpu => Self::Register,
            _ => Self::Tiled,
        }
    }

    pub(crate) fn shader(self) -> &'static str {
        match self {
            Self::Tiled => "matmul_tiled",
            Self::Register => "matmul_register",
            Self::RegisterTexture => "matmul_texture",
        }
    }

    /// Rows and columns of the output that a workgroup computes.
    pub(crate) fn tile(self) -> [u32; 2] {
        match self {
            Self::Tiled => [64, 64],
            Self::Register | Self::RegisterTexture => [32, 64],
        }
    }

    /// Whether its operands are textures.
    pub(crate) fn reads_textures(self) -> bool {
        self == Self::RegisterTexture
    }
}

/// Which of Winograd's algorithms computes 3 x 3 convolutions of stride 1 (Lavin and Gray, "Fast Algorithms for
/// Convolutional Neural Networks", 2015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Winograd {
    /// F(2x2, 3x3): 2.25 times fewer multiplications, weights 16/9 as large as the convolution's.
    F2x2,
    /// F(4x4, 3x3): 4 times fewer multiplications, weights 4 times as large.
    #[default]
    F4x4,
}

impl Winograd {
    /// What suits an image of `side` x `side` pixels without measuring: a small one is computed sooner than the larger
    /// weights are read, and the larger tiles fit it badly.
    pub(crate) fn for_side(side: u32) -> Self {
        if side < 24 { Self::F2x2 } else { Self::F4x4 }
    }

    /// The shaders of the input and the output transform.
    pub(crate) fn shaders(self) -> [&'static str; 2] {
        match self {
            Self::F2x2 => ["winograd2_input", "winograd2_output"],
            Self::F4x4 => ["winograd4_input", "winograd4_output"],
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
