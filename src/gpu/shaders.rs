//! The WGSL sources, compiled into the crate, and the tiny preprocessor that serves their shared parts and variants.
//!
//! Three directives, each alone on its line: `#import name` puts `shaders/shared/name.wgsl` there, once; `#ifdef NAME`
//! .. `#else` .. `#endif` keeps one of two parts.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// A shader, the names defined for its `#ifdef`s, and the values of its overridable constants: one compute pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kernel {
    /// File name in `shaders/`, without extension.
    pub shader: &'static str,
    pub defines: Vec<&'static str>,
    pub constants: Vec<(&'static str, f64)>,
}

impl Kernel {
    /// The shader as its file stands.
    pub(crate) fn new(shader: &'static str) -> Self {
        Self { shader, ..Self::default() }
    }

    /// The shader with those of the names defined that come with `true`.
    pub(crate) fn with<const N: usize>(shader: &'static str, names: [(&'static str, bool); N]) -> Self {
        let defines = names.into_iter().filter(|(_, defined)| *defined).map(|(name, _)| name).collect();
        Self { shader, defines, constants: Vec::new() }
    }

    /// The kernel with an overridable constant set to a truth value.
    pub(crate) fn with_constant(mut self, name: &'static str, value: bool) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// What a driver compiles.
    pub(super) fn program(&self) -> Program {
        Program {
            kernel: self.label(),
            wgsl: source(self.shader, &self.defines),
            constants: self.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect(),
        }
    }

    /// What tells this pipeline from every other.
    pub(crate) fn label(&self) -> String {
        let defines = self.defines.iter().map(|name| format!("+{name}"));
        let constants = self.constants.iter().map(|(name, value)| format!("[{name}={value}]"));
        std::iter::once(self.shader.to_owned()).chain(defines).chain(constants).collect()
    }
}

/// A compute pipeline's program, as [`Session::programs`](crate::Session::programs) lists them.
#[doc(hidden)]
#[derive(Clone, Debug)]
pub struct Program {
    pub kernel: String,
    pub wgsl: String,
    pub constants: Vec<(String, f64)>,
}

macro_rules! sources {
    ($folder:literal: $($name:ident),* $(,)?) => {
        &[$((stringify!($name), include_str!(concat!("../../shaders/", $folder, stringify!($name), ".wgsl")))),*]
    };
}

/// Every shader with an entry point.
const SHADERS: &[(&str, &str)] = sources!["":
    adam, adaptive_pool, adaptive_pool_gradient, avg_pool, batch_norm, batch_norm_gradient, batch_norm_statistics,
    batch_norm_sums, blur, coreset_pick, coreset_update, depthwise, describe, distance_losses, distance_statistics,
    distances, heat, join_levels, lanczos_columns, lanczos_rows, light, matmul_cooperative, matmul_direct,
    matmul_register, matmul_texture, matmul_tiled, max_pool, max_score, nearest, nearest_gradient,
    nearest_prototype, normalize, pack_nchw, pack_rows, project, project_input_gradient,
    project_weight_gradient, relu_gradient, resize, resize_gradient, resize_sum, resize_through, rows_as_columns,
    scale_channels, square_norm, squared_error, sum_splits, transpose, upsample_map, warp, weight_gradient,
    weights_as_matrix, winograd2_input, winograd2_output, winograd2_output_gradient, winograd2_weights,
    winograd2_weights_gradient, winograd4_input, winograd4_output, winograd4_output_gradient, winograd4_weights,
    winograd4_weights_gradient,
];

/// What shaders import.
const SHARED: &[(&str, &str)] = sources!["shared/":
    activation, activation_storage, bilinear, channels, coreset, lanczos, matmul, matmul_params, matmul_registers,
    matmul_rows, matmul_stage, matmul_store, matrix_units, narrow_by_buckets, narrow_by_cuts, pixel, products, reduce,
    rgb8, row_texture, winograd2_patches, winograd4_patches, winograd4_points, winograd_patches, winograd_pixels,
    winograd_place, winograd_weights, winograd_weights_gradient,
];

/// Every set of names a shader is ever compiled with. A model with activations in f16 has weights in f16 where it has
/// them, and hands results on from f32 to f16 and back only where it says so in [`crate::model`].
#[cfg(test)]
const VARIANTS: &[(&str, &[&[&str]])] = &[
    ("adaptive_pool", F16_OUTPUT),
    ("avg_pool", F16_INPUT),
    ("coreset_pick", TEXTURE),
    ("coreset_update", TEXTURE),
    (
        "depthwise",
        &[
            &[],
            &["INPUT_F16", "OUTPUT_F16"],
            &["WEIGHT_TEXTURE"],
            &["WEIGHT_TEXTURE", "INPUT_F16", "OUTPUT_F16"],
            &["WEIGHT_TEXTURE", "ROWS"],
        ],
    ),
    ("describe", F16_INPUT),
    ("distances", TEXTURE),
    ("lanczos_columns", TEXTURE),
    ("matmul_cooperative", HALVES),
    ("matmul_direct", PRODUCTS),
    ("matmul_register", PRODUCTS),
    (
        "matmul_texture",
        &[
            &[],
            &["WEIGHTS_F16"],
            &["OUTPUT_F16"],
            &["WEIGHTS_F16", "OUTPUT_F16"],
            &["OUTPUT_ROWS"],
            &["WEIGHTS_F16", "OUTPUT_ROWS"],
        ],
    ),
    ("matmul_tiled", PRODUCTS),
    ("max_pool", F16_BOTH),
    ("normalize", &[&[], &["OUTPUT_F16"], &["LIGHT"], &["OUTPUT_F16", "LIGHT"]]),
    ("pack_nchw", F16_OUTPUT),
    ("pack_rows", &[&[], &["CONVOLUTION"], &["INPUT_F16"], &["CONVOLUTION", "INPUT_F16"]]),
    ("resize", F16_OUTPUT),
    ("resize_gradient", &[&[], &["ADD"], &["SINGLE"], &["ADD", "SINGLE"]]),
    ("resize_through", F16_INPUT),
    ("sum_splits", F16_OUTPUT),
    ("nearest", &[&[], &["CUTS"], &["INDICES"], &["CUTS", "INDICES"]]),
    ("nearest_gradient", TEXTURE),
    ("nearest_prototype", TEXTURE),
    ("transpose", TEXTURE),
    ("weight_gradient", TEXTURE),
    ("rows_as_columns", TEXTURE),
    ("warp", F16_OUTPUT),
    ("weights_as_matrix", &[&["TRANSPOSED"], &["TEXTURE"], &["TRANSPOSED", "TEXTURE"]]),
    ("winograd2_input", PATCHES),
    ("winograd2_output", PIXELS),
    ("winograd2_output_gradient", OPERANDS),
    ("winograd2_weights", WEIGHTS),
    ("winograd4_input", PATCHES),
    ("winograd4_output", PIXELS),
    ("winograd4_output_gradient", OPERANDS),
    ("winograd4_weights", WEIGHTS),
];

#[cfg(test)]
const F16_INPUT: &[&[&str]] = &[&[], &["INPUT_F16"]];
#[cfg(test)]
const F16_OUTPUT: &[&[&str]] = &[&[], &["OUTPUT_F16"]];
#[cfg(test)]
const TEXTURE: &[&[&str]] = &[&[], &["TEXTURE"]];
#[cfg(test)]
const F16_BOTH: &[&[&str]] = &[&[], &["INPUT_F16", "OUTPUT_F16"]];

/// The variants of matrix products with operands in buffers. Weights transformed before use are f32, whatever the
/// activations.
#[cfg(test)]
const PRODUCTS: &[&[&str]] = &[
    &[],
    &["INPUT_F16"],
    &["INPUT_F16", "OUTPUT_F16"],
    &["WEIGHTS_F16"],
    &["WEIGHTS_F16", "INPUT_F16"],
    &["WEIGHTS_F16", "INPUT_F16", "OUTPUT_F16"],
    &["CONVOLUTION"],
    &["WEIGHTS_F16", "CONVOLUTION"],
    &["WEIGHTS_F16", "CONVOLUTION", "INPUT_F16", "OUTPUT_F16"],
];

/// The variants of products whose factors are f16.
#[cfg(test)]
const HALVES: &[&[&str]] = &[
    &["WEIGHTS_F16", "INPUT_F16", "HALVES"],
    &["WEIGHTS_F16", "INPUT_F16", "OUTPUT_F16", "HALVES"],
    &["WEIGHTS_F16", "CONVOLUTION", "INPUT_F16", "OUTPUT_F16", "HALVES"],
];

/// The variants of Winograd's input transforms, whose output is a texture for the matrix product that wants one.
#[cfg(test)]
const PATCHES: &[&[&str]] = &[
    &[],
    &["OUTPUT_F16"],
    &["INPUT_F16", "OUTPUT_F16"],
    &["TEXTURE"],
    &["TEXTURE", "INPUT_F16"],
    &["PAIRS"],
    &["OUTPUT_F16", "PAIRS"],
    &["INPUT_F16", "OUTPUT_F16", "PAIRS"],
];

/// The variants of Winograd's transforms of gradients, whose output is the right operands of products.
#[cfg(test)]
const OPERANDS: &[&[&str]] = &[&[], &["TEXTURE", "LAYERS"], &["PAIRS"]];

/// The variants of Winograd's transforms of weights.
#[cfg(test)]
const WEIGHTS: &[&[&str]] = &[&[], &["WEIGHTS_F16"], &["TEXTURE"], &["WEIGHTS_F16", "TEXTURE"]];

/// The variants of Winograd's output transforms.
#[cfg(test)]
const PIXELS: &[&[&str]] = &[
    &[],
    &["OUTPUT_F16"],
    &["INPUT_F16", "OUTPUT_F16"],
    &["PAIRS"],
    &["OUTPUT_F16", "PAIRS"],
    &["INPUT_F16", "OUTPUT_F16", "PAIRS"],
];

/// Every shader with every set of names it is compiled with.
#[cfg(test)]
pub(crate) fn variants() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    SHADERS.iter().flat_map(|&(shader, _)| {
        const ALONE: &[&[&str]] = &[&[]];
        let listed = VARIANTS.iter().find(|(name, _)| *name == shader).map_or(ALONE, |(_, sets)| *sets);
        // The shaders with tiles of several sizes, and factors of f16 where both operands are.
        const SIZES: &[&[&str]] = &[&[], &["ROWS_32"], &["ROWS_128"], &["ROWS_128", "WIDE"]];
        const FACTORS: &[&[&str]] = &[&[], &["HALVES"]];
        const UNIT_SIZES: &[&[&str]] = &[&[], &["WIDE"], &["ROWS_128", "WIDE"]];
        const UNITS: &[&[&str]] = &[&[], &["SIDE_8"], &["MATRIX_UNITS"], &["MATRIX_UNITS", "SIDE_8"]];
        let sizes = match shader {
            "matmul_tiled" => SIZES,
            "matmul_cooperative" => UNIT_SIZES,
            _ => ALONE,
        };
        listed.iter().flat_map(move |names| {
            let halved = ["WEIGHTS_F16", "INPUT_F16"].iter().all(|name| names.contains(name));
            let ways = match shader {
                "matmul_tiled" if halved => FACTORS,
                "matmul_cooperative" => UNITS,
                _ => ALONE,
            };
            let tilings = ways.iter().flat_map(move |way| sizes.iter().map(move |size| [*way, *size].concat()));
            tilings.map(move |tiling| (shader, [*names, &tiling].concat()))
        })
    })
}

/// Hashes the text of all shaders.
pub(super) fn hash(hasher: &mut impl Hasher) {
    (SHADERS, SHARED).hash(hasher);
}

fn find(sources: &[(&'static str, &'static str)], name: &str) -> &'static str {
    sources.iter().find(|(known, _)| *known == name).map_or_else(
        || panic!("shader source `{name}` is not compiled in; add it to the list in gpu/shaders.rs"),
        |(_, source)| source,
    )
}

/// The WGSL text of a shader with the given names defined.
///
/// # Panics
/// On a name or directive that does not exist, which the test over all variants finds.
pub(crate) fn source(shader: &str, defines: &[&str]) -> String {
    let mut text = String::new();
    expand(find(SHADERS, shader), defines, &mut BTreeSet::new(), &mut text);
    text
}

fn expand(source: &str, defines: &[&str], imported: &mut BTreeSet<String>, text: &mut String) {
    // One entry for each open #ifdef: whether lines inside it are kept.
    let mut kept = Vec::new();
    for line in source.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("#ifdef"), Some(name)) => kept.push(defines.contains(&name)),
            (Some("#else"), None) => {
                let last = kept.last_mut().expect("#else stands inside an #ifdef");
                *last = !*last;
            }
            (Some("#endif"), None) => {
                kept.pop().expect("#endif closes an #ifdef");
            }
            (Some("#import"), Some(name)) if kept.iter().all(|keep| *keep) && imported.insert(name.to_owned()) => {
                expand(find(SHARED, name), defines, imported, text);
            }
            (Some("#import"), Some(_)) => {}
            (Some(word), _) if word.starts_with('#') => panic!("unknown shader directive: {line}"),
            _ if kept.iter().all(|keep| *keep) => {
                text.push_str(line);
                text.push('\n');
            }
            _ => {}
        }
    }
    assert!(kept.is_empty(), "an #ifdef is not closed");
}

#[cfg(test)]
mod tests {
    use super::*;
    use naga::back::{hlsl, msl, spv};
    use naga::valid::{Capabilities, ValidationFlags, Validator};

    #[test]
    fn directives() {
        let mut text = String::new();
        expand("#ifdef A\na\n#else\nb\n#endif\nc", &["A"], &mut BTreeSet::new(), &mut text);
        assert_eq!(text, "a\nc\n");
        text.clear();
        expand("#ifdef A\na\n#ifdef B\nab\n#endif\n#else\nb\n#endif\nc", &["B"], &mut BTreeSet::new(), &mut text);
        assert_eq!(text, "b\nc\n");
    }

    /// No GPU is needed to know that every variant parses, validates, and translates for Vulkan, Metal and DX12.
    #[test]
    fn every_variant_translates_to_every_backend() {
        for (shader, defines) in variants() {
            let source = source(shader, &defines);
            let module = naga::front::wgsl::parse_str(&source)
                .unwrap_or_else(|error| panic!("{shader} {defines:?}: {}", error.emit_to_string(&source)));
            let capabilities = Capabilities::SUBGROUP
                | Capabilities::SHADER_FLOAT16_IN_FLOAT32
                | Capabilities::SHADER_FLOAT16
                | Capabilities::COOPERATIVE_MATRIX;
            let mut validator = Validator::new(ValidationFlags::all(), capabilities);
            validator
                .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
                .subgroup_operations(naga::valid::SubgroupOperationSet::all());
            let info = validator
                .validate(&module)
                .unwrap_or_else(|error| panic!("{shader} {defines:?}: {}", error.emit_to_string(&source)));
            let (module, info) =
                naga::back::pipeline_constants::process_overrides(&module, &info, None, &Default::default())
                    .unwrap_or_else(|error| panic!("{shader} {defines:?}: {error}"));
            let context = |backend: &str| format!("{shader} {defines:?} to {backend}");
            let spirv = spv::Options { lang_version: (1, 3), ..Default::default() };
            spv::write_vec(&module, &info, &spirv, None).unwrap_or_else(|e| panic!("{}: {e}", context("SPIR-V")));
            if defines.contains(&"MATRIX_UNITS") {
                // The other backends know matrix units of fewer kinds, or none, and their devices report none.
                continue;
            }
            let metal = msl::Options { lang_version: (2, 4), fake_missing_bindings: true, ..Default::default() };
            msl::write_string(&module, &info, &metal, &Default::default())
                .unwrap_or_else(|e| panic!("{}: {e}", context("MSL")));
            let direct3d = hlsl::Options {
                shader_model: hlsl::ShaderModel::V6_2,
                fake_missing_bindings: true,
                ..Default::default()
            };
            let pipeline = hlsl::PipelineOptions::default();
            hlsl::Writer::new(&mut String::new(), &direct3d, &pipeline)
                .write(&module, &info, None)
                .unwrap_or_else(|e| panic!("{}: {e}", context("HLSL")));
        }
    }
}
