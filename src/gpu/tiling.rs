//! How matrix products are multiplied and tiled.

use super::requirements::matrix_unit_features;
use super::shaders::{Kernel, Program};
use serde::{Deserialize, Serialize};

/// How the factors of a product are stored, and what that allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Factors {
    /// One of them at least as f32.
    #[default]
    F32,
    /// Both as f16; sums are f32.
    Half,
    /// Both as f16, and short sums may be f16, too.
    HalfSums,
}

/// What a kernel multiplies, and adds the products as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    /// f32.
    F32,
    /// f16, in sums of 16 products that are added as f32.
    Halves,
    /// f16 on matrix units, added as f32.
    MatrixUnits(MatrixUnits),
}

/// The matrix units of a device that multiply square matrices of f16 and add the products as f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixUnits {
    /// 16, or 8.
    side: u32,
    /// Whether plain WGSL stands for the units, for tests on devices that have none.
    is_plain: bool,
}

impl MatrixUnits {
    /// The matrix units of an adapter, if it has any. A device uses them that was made with the features
    /// [`matrix_unit_features`](crate::gpu::matrix_unit_features), which are experimental in wgpu.
    pub fn of(adapter: &wgpu::Adapter) -> Option<Self> {
        let of_side = |side| {
            let suits = |found: &wgpu::CooperativeMatrixProperties| {
                [found.m_size, found.n_size, found.k_size] == [side; 3]
                    && found.ab_type == wgpu::CooperativeScalarType::F16
                    && found.cr_type == wgpu::CooperativeScalarType::F32
            };
            adapter.cooperative_matrix_properties().iter().any(suits).then_some(Self { side, is_plain: false })
        };
        of_side(16).or_else(|| of_side(8))
    }

    /// Rows and columns of the matrices that they multiply.
    pub fn side(self) -> u32 {
        self.side
    }

    /// Plain WGSL in place of units.
    #[cfg(test)]
    pub(crate) const fn plain(side: u32) -> Self {
        Self { side, is_plain: true }
    }

    /// Whether a device with these features has what they take.
    pub(crate) fn fit(self, features: wgpu::Features) -> bool {
        features.contains(if self.is_plain { wgpu::Features::SHADER_F16 } else { matrix_unit_features() })
    }
}

/// A shader that multiplies matrices, the tile of the output that a workgroup of it computes, and how many share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tiling {
    shader: &'static str,
    /// Whether it stages operands in workgroup memory, in tiles whose size its pipeline is made for.
    staged: bool,
    pub arithmetic: Arithmetic,
    pub rows: u32,
    pub columns: u32,
    /// The parts of the depth that different workgroups multiply; another dispatch adds their sums.
    pub splits: u32,
}

impl Tiling {
    pub(super) const DIRECT: Self =
        Self { shader: "matmul_direct", staged: false, arithmetic: Arithmetic::F32, rows: 64, columns: 64, splits: 1 };

    /// Large tiles in registers.
    pub(super) const fn in_registers(shader: &'static str) -> Self {
        Self { shader, rows: 32, ..Self::DIRECT }
    }

    pub(super) const fn staged(rows: u32, columns: u32) -> Self {
        Self { shader: "matmul_tiled", staged: true, rows, columns, ..Self::DIRECT }
    }

    pub(super) const fn multiplying(self, arithmetic: Arithmetic) -> Self {
        Self { arithmetic, ..self }
    }

    /// Those of matrix units: pieces of 2 x 2 or 2 x 4 of their matrices, two across, and two or four down.
    pub(super) fn on_units(units: MatrixUnits) -> [Self; 3] {
        [[4, 4], [4, 8], [8, 8]].map(|[rows, columns]| Self {
            shader: "matmul_cooperative",
            arithmetic: Arithmetic::MatrixUnits(units),
            ..Self::staged(rows * units.side, columns * units.side)
        })
    }

    /// The tiling with the depth in so many parts.
    pub(crate) fn split(self, splits: u32) -> Self {
        Self { splits, ..self }
    }

    /// Whether its shader has variants and can split the depth; those for adapters that run shaders on a CPU have no
    /// idle cores to fill.
    pub(crate) fn is_for_gpus(&self) -> bool {
        !matches!(self.shader, "matmul_register" | "matmul_texture")
    }

    /// Into how many parts the depth of a product of `[matrices, rows, depth, columns]` may be split with sense, first
    /// of all one: as many as keep a large GPU busy.
    pub(crate) fn splits_of(self, [matrices, rows, depth, columns]: [u32; 4]) -> impl Iterator<Item = u32> {
        const ENOUGH: u32 = 512;
        const LEAST_DEPTH: u32 = 64;
        let tiles: u32 = self.workgroups([matrices, rows, columns]).iter().product();
        let more = move |splits: &u32| self.is_for_gpus() && tiles * splits <= ENOUGH && depth / splits >= LEAST_DEPTH;
        [1].into_iter().chain([2, 4, 8, 16].into_iter().filter(more))
    }

    /// The vec4s of depth in each part, in whole tiles of any shader.
    pub(crate) fn split_depth(&self, depth: u32) -> u32 {
        depth.div_ceil(self.splits).next_multiple_of(8)
    }

    /// Workgroups of a product of `[matrices, rows, columns]`.
    pub(crate) fn workgroups(&self, [matrices, rows, columns]: [u32; 3]) -> [u32; 3] {
        [columns.div_ceil(self.columns), rows.div_ceil(self.rows), matrices * self.splits]
    }

    /// Tells it from the kernel's other tilings.
    pub(crate) fn name(&self) -> String {
        let Self { shader, rows, columns, splits, .. } = self;
        let factors = if self.arithmetic == Arithmetic::Halves { "_f16" } else { "" };
        let splits = if *splits == 1 { String::new() } else { format!("_split{splits}") };
        format!("{shader}_{rows}x{columns}{factors}{splits}")
    }

    /// The names that stand for its factors and its size where its shader knows several.
    fn defines(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (units, side) = match self.arithmetic {
            Arithmetic::MatrixUnits(units) => (Some(units), units.side),
            _ => (None, 16),
        };
        let of_side = |size: u32| size * 16 / side;
        let names = [
            ("HALVES", self.arithmetic != Arithmetic::F32),
            ("MATRIX_UNITS", units.is_some_and(|units| !units.is_plain)),
            ("SIDE_8", side == 8),
            ("ROWS_32", of_side(self.rows) == 32),
            ("ROWS_128", of_side(self.rows) == 128),
            ("WIDE", of_side(self.columns) == 128),
        ];
        names.into_iter().filter_map(|(name, defined)| defined.then_some(name))
    }

    /// The kernel with these names defined.
    pub(crate) fn kernel<const N: usize>(&self, names: [(&'static str, bool); N]) -> Kernel {
        let mut kernel = Kernel::with(self.shader, names);
        if self.is_for_gpus() {
            kernel.defines.extend(self.defines());
        }
        kernel
    }

    /// Whether a device has the features it needs, and workgroups of it are within its limits.
    pub(crate) fn fits(&self, features: wgpu::Features, limits: &wgpu::Limits) -> bool {
        let has_features = match self.arithmetic {
            Arithmetic::F32 => true,
            Arithmetic::Halves => features.contains(wgpu::Features::SHADER_F16),
            Arithmetic::MatrixUnits(units) => units.fit(features),
        };
        if !has_features || !self.staged {
            return has_features;
        }
        let [bytes, groups] = self.workgroup_memory_and_rows();
        bytes <= limits.max_compute_workgroup_storage_size
            && groups <= limits.max_compute_workgroup_size_y
            && 16 * groups <= limits.max_compute_invocations_per_workgroup
    }

    /// Bytes of workgroup memory, and rows of 16 invocations.
    fn workgroup_memory_and_rows(&self) -> [u32; 2] {
        let Self { rows, columns, .. } = *self;
        match self.arithmetic {
            // 16 deep; 8 rows a row of invocations.
            Arithmetic::F32 => [4 * 16 * (rows + columns), rows / 8],
            Arithmetic::Halves => [2 * 16 * (rows + columns), rows / 8],
            // 32 deep, each row 8 values longer than that, and a matrix of sums for each piece, which has 2 rows.
            Arithmetic::MatrixUnits(MatrixUnits { side, .. }) => {
                let pieces = rows / side;
                [2 * (40 * rows + 32 * (columns + 8)) + 4 * side * side * pieces, 2 * pieces]
            }
        }
    }
}

/// The programs of products on matrix units of 16 x 16, for tools that judge them where no device has any.
#[doc(hidden)]
pub fn matrix_unit_programs() -> Vec<Program> {
    let formats = ["WEIGHTS_F16", "INPUT_F16", "OUTPUT_F16"].map(|name| (name, true));
    let tilings = Tiling::on_units(MatrixUnits { side: 16, is_plain: false });
    let kernel = |tiling: Tiling| tiling.kernel(formats).with_constant("EPILOGUE", true);
    tilings.map(|tiling| kernel(tiling).with_constant("INPUT_RELU", false).program()).into()
}

#[test]
fn tiles_are_the_shaders() {
    use super::reflection::{constant, workgroup};
    let sizes =
        [[32, 64], [64, 64], [64, 128], [128, 64], [128, 128]].map(|[rows, columns]| Tiling::staged(rows, columns));
    let halves = sizes.map(|tiling| tiling.multiplying(Arithmetic::Halves));
    let units = [8, 16].map(|side| Tiling::on_units(MatrixUnits::plain(side)));
    for tiling in [&sizes[..], &halves, units.as_flattened()].concat() {
        let halves = tiling.arithmetic != Arithmetic::F32;
        let kernel = tiling.kernel([("WEIGHTS_F16", halves), ("INPUT_F16", halves)]);
        let [bytes, rows] = tiling.workgroup_memory_and_rows();
        assert_eq!(workgroup(&kernel), [bytes, 16 * rows], "{}", tiling.name());
        let [rows, columns] = ["TILE_ROWS", "TILE_COLUMNS"].map(|name| constant(&kernel, name));
        assert_eq!([rows, 4.0 * columns], [tiling.rows, tiling.columns].map(f64::from), "{}", tiling.name());
    }
    for tiling in [Tiling::DIRECT, Tiling::in_registers("matmul_register"), Tiling::in_registers("matmul_texture")] {
        assert_eq!(constant(&tiling.kernel([]), "TILE_ROWS"), f64::from(tiling.rows), "{}", tiling.name());
    }
}
