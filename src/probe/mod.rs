//! What the device can do: whether its kernels are right, and which are the fastest.
//!
//! The known-answer self-test runs every kernel on small cases, against its CPU twin; the property tests of `ops` run
//! the same cases over random shapes.

pub(crate) mod cases;
pub(crate) mod harness;
#[cfg(not(target_arch = "wasm32"))]
mod throughput;
mod tune;

pub use tune::TuningProgress;

use crate::Engine;
use crate::config::Light;
use crate::gpu::Gpu;
use crate::{Error, Result};
use harness::Case;

/// What the self-test found out about one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelCheck {
    /// The operation, by its PyTorch-like name.
    pub operation: String,
    /// The kernels that computed it here: names in `shaders/`, with their variants.
    pub kernels: Vec<String>,
    /// What was wrong; `None` where the answer was right.
    pub failure: Option<String>,
}

impl KernelCheck {
    /// Whether the answer was right.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

impl Engine {
    /// Tests every kernel on small cases with known answers: whether this device, driver and shader compiler compute
    /// what they should. Takes seconds at most. What fails is told by name in the checks.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub async fn probe(&self) -> Result<Vec<KernelCheck>> {
        run(&self.gpu).await
    }
}

/// Runs all cases. What the driver refuses is a failure of its case; only a lost device ends the test.
pub(crate) async fn run(gpu: &Gpu) -> Result<Vec<KernelCheck>> {
    let mut checks = Vec::new();
    macro_rules! check {
        ($($operation:literal: $case:expr),* $(,)?) => {
            $(checks.push(verdict($operation, $case.await)?);)*
        };
    }
    use crate::gpu::Format::{F16, F32};
    use crate::gpu::Winograd::{F2x2, F4x4};
    use crate::gpu::{Arithmetic, Factors};
    use crate::ops::Gradient::{Added, New};
    use crate::ops::Transform::{AtLoad, BeforeUse};
    use crate::reference::Corners;
    use cases::gradients::{Looked, NormPart};
    use cases::products::{Convolution, Formats};
    use cases::*;
    const LIGHT: Light = Light { level: 0.6, contrast: 0.5 };
    const TRAINED_1X1: gradients::Convolution =
        gradients::Convolution { shape: [2, 7, 9], kernel: 1, quarters: [5, 18], seed: 1 };
    const TRAINED_3X3: gradients::Convolution = gradients::Convolution { kernel: 3, ..TRAINED_1X1 };
    // Of one algorithm and of the other, and of pixels in fours.
    const TRAINED_LARGE: gradients::Convolution = gradients::Convolution { shape: [1, 25, 10], ..TRAINED_3X3 };
    const TRAINED_FOURS: gradients::Convolution = gradients::Convolution { shape: [2, 8, 9], ..TRAINED_1X1 };
    check! {
        "normalize": maps::normalize(gpu, [2, 37], false, None, F32, 1),
        "normalize to f16": maps::normalize(gpu, [2, 37], false, None, F16, 1),
        "normalize in one light": maps::normalize(gpu, [2, 37], true, Some(LIGHT), F32, 1),
        "normalize in one light, to f16": maps::normalize(gpu, [2, 37], true, Some(LIGHT), F16, 1),
        "pack_nchw": maps::pack_nchw(gpu, [2, 13, 70], F32, 1),
        "pack_nchw to f16": maps::pack_nchw(gpu, [2, 13, 70], F16, 1),
        "max_pool2d": pools::max_pool(gpu, [2, 11, 9], 3, F32, 1),
        "max_pool2d of f16": pools::max_pool(gpu, [2, 11, 9], 3, F16, 1),
        "avg_pool2d": pools::avg_pool(gpu, [2, 11, 9], 3, F32, 1),
        "avg_pool2d of f16": pools::avg_pool(gpu, [2, 11, 9], 3, F16, 1),
        "adaptive_avg_pool2d": pools::adaptive_pool(gpu, [2, 19, 7], [3, 1], F32, 1),
        "adaptive_avg_pool2d to f16": pools::adaptive_pool(gpu, [2, 19, 7], [3, 1], F16, 1),
        "interpolate": pools::resize(gpu, 2, [[9, 5], [30, 21]], [1, 3, 2], false, F32, 1),
        "interpolate, aligned corners": pools::resize(gpu, 2, [[9, 5], [30, 21]], [1, 3, 2], true, F32, 1),
        "interpolate to f16": pools::resize(gpu, 2, [[9, 5], [30, 21]], [1, 3, 2], true, F16, 1),
        "two resizes": pools::resize_through(gpu, [2, 7, 20, 12], [1, 3, 2], F32, 1),
        "two resizes of f16": pools::resize_through(gpu, [2, 7, 20, 12], [1, 3, 2], F16, 1),
        "sum of resizes": pools::resize_sum(gpu, 2, &[9, 5, 2], 14, 3, 1),
        "conv2d 3x3, F(2x2)": products::convolution(gpu, Convolution::winograd(F2x2, AtLoad)),
        "conv2d 3x3, F(4x4)": products::convolution(gpu, Convolution::winograd(F4x4, AtLoad)),
        "conv2d 3x3, F(2x2) before use": products::convolution(gpu, Convolution::winograd(F2x2, BeforeUse)),
        "conv2d 3x3, F(4x4) before use": products::convolution(gpu, Convolution::winograd(F4x4, BeforeUse)),
        "conv2d, depthwise": products::depthwise(gpu, F32),
        "conv2d, depthwise, f16": products::depthwise(gpu, F16),
        "conv2d, inverted residual": products::inverted_residual(gpu, F32),
        "conv2d, inverted residual, f16 weights": products::inverted_residual(gpu, F16),
        "squared norms": selection::square_norm(gpu),
        "distances": selection::distances(gpu),
        "nearest distances": selection::nearest(gpu),
        "nearest distance": selection::nearest_prototype(gpu, 40, 90, 12, 1),
        "photograph in other poses": teaching::warp(gpu, [30, 41], 70, 3, F32, 1),
        "photograph in other poses, f16": teaching::warp(gpu, [30, 41], 70, 3, F16, 1),
        "descriptors on the grid": teaching::describe(gpu, [2, 13, 9], 3, 8, F32, 1),
        "descriptors on the grid, f16": teaching::describe(gpu, [2, 13, 9], 3, 8, F16, 1),
        "levels as one map": teaching::join_levels(gpu, 2, 11, 3, 1),
        "coreset": teaching::coreset(gpu, 300, 3, 90, 6, 1),
        "conv2d to one channel": maps::project(gpu, 150, 9, 1),
        "interpolate maps": maps::upsample_map(gpu, 2, [19, 80], Corners::Edges, 1),
        "interpolate maps, aligned corners": maps::upsample_map(gpu, 2, [19, 80], Corners::Centers, 1),
        "gaussian_filter": maps::blur(gpu, 2, 50, 4.0, 1),
        "maximum": maps::max_score(gpu, [3, 40, 17], -2.0, 1),
        "Lanczos resize of a buffer": photographs::lanczos(gpu, &photographs::Example::SMALL, false),
        "Lanczos resize of a texture": photographs::lanczos(gpu, &photographs::Example::SMALL, true),
        "heat": photographs::heat(gpu, (53, 40), 1),
        "conv2d 1x1 of training": gradients::trained_conv(gpu, TRAINED_1X1),
        "conv2d 3x3 of training": gradients::trained_conv(gpu, TRAINED_3X3),
        "gradient of conv2d 1x1, input": gradients::input_gradient(gpu, TRAINED_1X1),
        "gradient of conv2d 3x3, input": gradients::input_gradient(gpu, TRAINED_3X3),
        "gradient of conv2d 1x1, weights": gradients::weight_gradient(gpu, TRAINED_1X1),
        "gradient of conv2d 3x3, weights": gradients::weight_gradient(gpu, TRAINED_3X3),
        "gradient of conv2d 1x1 of pixels in fours, weights": gradients::weight_gradient(gpu, TRAINED_FOURS),
        "gradient of conv2d 3x3 of many pixels, weights": gradients::weight_gradient(gpu, TRAINED_LARGE),
        "gradient of conv2d 3x3, weights tap by tap": gradients::weight_gradient_tap_by_tap(gpu, TRAINED_3X3),
        "BatchNorm of training": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::Output, 1),
        "BatchNorm of training, mean": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::RunningMean, 1),
        "BatchNorm of training, variance": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::RunningVariance, 1),
        "gradient of BatchNorm, input": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::InputGradient, 1),
        "gradient of BatchNorm, scale": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::ScaleGradient, 1),
        "gradient of BatchNorm, shift": gradients::batch_norm(gpu, 3, [2, 11, 9], 18, NormPart::ShiftGradient, 1),
        "gradient of relu": gradients::relu(gpu, 70, [1, 18], false, 1),
        "gradient of relu and skip": gradients::relu(gpu, 70, [1, 18], true, 1),
        "gradient of interpolate": gradients::resize(gpu, [[9, 5], [30, 21]], [1, 8], false, New, 1),
        "gradient of interpolate, aligned corners": gradients::resize(gpu, [[30, 21], [9, 5]], [1, 8], true, Added, 1),
        "gradient of interpolate of a map": gradients::resize(gpu, [[9, 5], [30, 21]], [0, 1], true, New, 1),
        "gradient of interpolate of a map, added": gradients::resize(gpu, [[30, 21], [9, 5]], [0, 1], true, Added, 1),
        "gradient of adaptive_avg_pool2d": gradients::adaptive_pool(gpu, [2, 19, 7], [3, 1], 1),
        "gradient of conv2d to one channel, input": gradients::project(gpu, 150, 9, false, 1),
        "gradient of conv2d to one channel, weights": gradients::project(gpu, 150, 9, true, 1),
        "nearest distances, ranked": gradients::nearest_ranks(gpu, 6, 1000, 200, 1),
        "gradient of nearest distances": gradients::nearest_gradient(gpu, 40, 12, 1),
        "squared error": gradients::squared_error(gpu, 2, 37, 1),
        "losses of distances": gradients::distance_losses(gpu, 13, 50, Looked::Terms, 1),
        "losses of distances, gradient": gradients::distance_losses(gpu, 13, 50, Looked::Gradient, 1),
        "losses of distances, radius": gradients::distance_losses(gpu, 13, 50, Looked::Radius, 1),
        "Adam": gradients::adam(gpu, 300, 4, 1),
    }
    for (name, formats) in [
        ("f16 weights", Formats::F16_WEIGHTS),
        ("f16", Formats::F16),
        ("f32 to f16", Formats::TO_F16),
        ("f16 to f32", Formats::FROM_F16),
    ] {
        for winograd in [F2x2, F4x4] {
            for transform in [AtLoad, BeforeUse] {
                let convolution = Convolution::winograd(winograd, transform).stored(formats);
                let operation = format!("conv2d 3x3, {winograd:?}, {transform:?}, {name}");
                checks.push(verdict(&operation, products::convolution(gpu, convolution).await)?);
            }
        }
    }
    for tiling in gpu.tilings(Factors::F32) {
        const BEFORE_USE: Convolution = Convolution::winograd(F2x2, BeforeUse);
        for (operation, convolution) in [
            ("conv2d 1x1", Convolution::POINTWISE),
            ("conv2d 1x1, f16 weights", Convolution::POINTWISE.stored(Formats::F16_WEIGHTS)),
            ("conv2d 1x1, f16", Convolution::POINTWISE.stored(Formats::F16)),
            ("conv2d 1x1, f16 to f32", Convolution::POINTWISE.stored(Formats::FROM_F16)),
            ("conv2d 3x3, before use, f16", BEFORE_USE.stored(Formats::F16)),
            ("conv2d 3x3, before use, f16 to f32", BEFORE_USE.stored(Formats::FROM_F16)),
            ("conv2d 7x7", Convolution::STEM),
            ("conv2d 7x7, f16 weights", Convolution::STEM.stored(Formats::F16_WEIGHTS)),
            ("conv2d 7x7, f16", Convolution::STEM.stored(Formats::F16)),
        ] {
            checks.push(verdict(operation, products::convolution(gpu, convolution.tiled(tiling)).await)?);
        }
        if tiling.is_for_gpus() {
            for (operation, formats) in [("conv2d 7x7, split", Formats::F32), ("conv2d 7x7, split, f16", Formats::F16)]
            {
                let convolution = Convolution::STEM.stored(formats).tiled(tiling.split(4));
                checks.push(verdict(operation, products::convolution(gpu, convolution).await)?);
            }
        }
    }
    for tiling in gpu.tilings(Factors::HalfSums).into_iter().filter(|tiling| tiling.arithmetic != Arithmetic::F32) {
        for (operation, convolution, tiling) in [
            ("conv2d 1x1, f16 products", Convolution::POINTWISE.stored(Formats::F16), tiling),
            ("conv2d 1x1, f16 products, f16 to f32", Convolution::POINTWISE.stored(Formats::FROM_F16), tiling),
            ("conv2d 7x7, f16 products", Convolution::STEM.stored(Formats::F16), tiling),
            ("conv2d 7x7, f16 products, split", Convolution::STEM.stored(Formats::F16), tiling.split(4)),
        ] {
            checks.push(verdict(operation, products::convolution(gpu, convolution.tiled(tiling)).await)?);
        }
    }
    Ok(checks)
}

fn verdict(operation: &str, case: Result<Case>) -> Result<KernelCheck> {
    let (kernels, failure) = match case {
        Ok(case) => (case.kernels.clone(), case.failure()),
        Err(error @ Error::DeviceLost(_)) => return Err(error),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    Ok(KernelCheck { operation: operation.to_owned(), kernels, failure })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{EngineOptions, Factors, Kernel, MatmulKernel, open_device, shaders};
    use pollster::block_on;
    use std::collections::BTreeSet;

    fn gpu(matmul: Option<MatmulKernel>) -> Gpu {
        let (device, queue) = block_on(open_device(None)).expect("an adapter");
        Gpu::new(device, queue, EngineOptions { matmul, ..Default::default() }).expect("the adapter was checked")
    }

    #[test]
    fn every_kernel_is_tested_and_right() {
        for matmul in [None, Some(MatmulKernel::Tiled)] {
            let gpu = gpu(matmul);
            let checks = block_on(run(&gpu)).expect("the device stays");
            assert!(checks.iter().all(KernelCheck::passed), "{checks:#?}");
            // Constants aside, which depend on the model.
            let name = |label: &str| label.split('[').next().unwrap_or_default().to_owned();
            let tested: BTreeSet<String> =
                checks.iter().flat_map(|check| &check.kernels).map(|label| name(label)).collect();
            let (textures, pairs) = (gpu.matmul.reads_textures(), gpu.matmul.transformed_channels() == 2);
            let products: Vec<String> =
                gpu.tilings(Factors::F32).iter().map(|tiling| tiling.kernel([]).label()).collect();
            let missing: Vec<String> = shaders::variants()
                .filter(|(shader, defines)| match *shader {
                    "pack_rows" => textures,
                    "sum_splits" => gpu.matmul == MatmulKernel::Tiled,
                    _ if shader.starts_with("matmul_") => products.iter().any(|label| name(label).starts_with(shader)),
                    // Those of Winograd's transforms that suit the products.
                    "winograd2_output" | "winograd4_output" => defines.contains(&"PAIRS") == pairs,
                    "winograd2_input"
                    | "winograd4_input"
                    | "winograd2_output_gradient"
                    | "winograd4_output_gradient" => {
                        (defines.contains(&"TEXTURE"), defines.contains(&"PAIRS")) == (textures, pairs)
                    }
                    "winograd2_weights" | "winograd4_weights" => defines.contains(&"TEXTURE") == textures,
                    "coreset_pick" | "coreset_update" | "distances" | "nearest_gradient" | "nearest_prototype"
                    | "rows_as_columns" | "transpose" | "weight_gradient" | "weights_as_matrix" => {
                        defines.contains(&"TEXTURE") == textures
                    }
                    "nearest" => defines.contains(&"CUTS") == textures,
                    "depthwise" => defines.contains(&"WEIGHT_TEXTURE") == textures,
                    _ => true,
                })
                .map(|(shader, defines)| Kernel { defines, ..Kernel::new(shader) }.label())
                .filter(|kernel| !tested.contains(kernel))
                .collect();
            assert!(missing.is_empty(), "no case in src/probe/cases uses {missing:?}");
            assert!(tested.contains("heat"));
        }
    }

    /// A driver that miscompiles one kernel: it is named, and no other.
    #[test]
    fn a_wrong_kernel_is_named() {
        let gpu = gpu(None);
        for (kernel, right, wrong) in [
            ("blur", "fma(vec4(weights[i]), ", "fma(vec4(1.001 * weights[i]), "),
            ("max_score", "value = max(value, max(pairs.x, pairs.y))", "value = pairs.x"),
            ("lanczos_rows", "pack(round_to_8_bits(sum))", "pack(round_to_8_bits(sum) ^ vec3(1))"),
        ] {
            let source = shaders::source(kernel, &[]);
            assert!(source.contains(right));
            gpu.replace_pipeline(&Kernel::new(kernel), source.replace(right, wrong));
            let checks = block_on(run(&gpu)).expect("the device stays");
            for check in &checks {
                let uses = check.kernels.iter().any(|name| name == kernel);
                assert_eq!(check.passed(), !uses, "{kernel}: {check:?}");
            }
            gpu.replace_pipeline(&Kernel::new(kernel), source);
        }
    }
}
