//! The known-answer self-test: every kernel on small cases, against its CPU twin. The property tests of `ops` run the
//! same cases over random shapes.

pub(crate) mod cases;
pub(crate) mod harness;

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

/// Runs all cases. What the driver refuses is a failure of its case; only a lost device ends the test.
pub(crate) async fn run(gpu: &Gpu) -> Result<Vec<KernelCheck>> {
    let mut checks = Vec::new();
    macro_rules! check {
        ($($operation:literal: $case:expr),* $(,)?) => {
            $(checks.push(verdict($operation, $case.await)?);)*
        };
    }
    use crate::gpu::Winograd::{F2x2, F4x4};
    use crate::ops::Transform::{AtLoad, BeforeUse};
    use cases::products::Convolution;
    use cases::*;
    check! {
        "normalize": maps::normalize(gpu, 2, 37, false, 1),
        "pack_nchw": maps::pack_nchw(gpu, 2, 13, 70, 1),
        "max_pool2d": pools::max_pool(gpu, [2, 11, 9], 3, 1),
        "avg_pool2d": pools::avg_pool(gpu, [2, 11, 9], 3, 1),
        "adaptive_avg_pool2d": pools::adaptive_pool(gpu, [2, 19, 7], [3, 1], 1),
        "interpolate": pools::resize(gpu, [2, 9, 5], [30, 21], [1, 3, 2], false, 1),
        "interpolate, aligned corners": pools::resize(gpu, [2, 9, 5], [30, 21], [1, 3, 2], true, 1),
        "two resizes": pools::resize_through(gpu, [2, 7, 20, 12], [1, 3, 2], 1),
        "sum of resizes": pools::resize_sum(gpu, 2, &[9, 5, 2], 14, 3, 1),
        "conv2d 3x3, F(2x2)": products::convolution(gpu, Convolution::winograd(F2x2, AtLoad)),
        "conv2d 3x3, F(4x4)": products::convolution(gpu, Convolution::winograd(F4x4, AtLoad)),
        "conv2d 3x3, F(4x4), f16": products::convolution(gpu, Convolution::winograd(F4x4, AtLoad).packed()),
        "conv2d 3x3, F(2x2) before use": products::convolution(gpu, Convolution::winograd(F2x2, BeforeUse)),
        "conv2d 3x3, F(4x4) before use": products::convolution(gpu, Convolution::winograd(F4x4, BeforeUse)),
        "conv2d 3x3, F(2x2) before use, f16":
            products::convolution(gpu, Convolution::winograd(F2x2, BeforeUse).packed()),
        "conv2d 3x3, F(4x4) before use, f16":
            products::convolution(gpu, Convolution::winograd(F4x4, BeforeUse).packed()),
        "conv2d, depthwise": products::depthwise(gpu),
        "squared norms": selection::square_norm(gpu),
        "distances": selection::distances(gpu),
        "nearest distances": selection::nearest(gpu),
        "conv2d to one channel": maps::project(gpu, 150, 9, 1),
        "interpolate maps": maps::upsample_map(gpu, 2, 19, 80, 1),
        "gaussian_filter": maps::blur(gpu, 2, 50, 4.0, 1),
        "maximum": maps::max_score(gpu, [3, 40, 17], -2.0, 1),
        "Lanczos resize of a buffer": photographs::lanczos(gpu, &photographs::Example::SMALL, false),
        "Lanczos resize of a texture": photographs::lanczos(gpu, &photographs::Example::SMALL, true),
        "heat": photographs::heat(gpu, (53, 40), 1),
    }
    for tiling in gpu.tilings() {
        check! {
            "conv2d 1x1": products::convolution(gpu, Convolution::POINTWISE.tiled(tiling)),
            "conv2d 1x1, f16": products::convolution(gpu, Convolution::POINTWISE.packed().tiled(tiling)),
            "conv2d 7x7": products::convolution(gpu, Convolution::STEM.tiled(tiling)),
            "conv2d 7x7, f16": products::convolution(gpu, Convolution::STEM.packed().tiled(tiling)),
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
    use crate::gpu::{EngineOptions, Kernel, MatmulKernel, open_device, shaders};
    use pollster::block_on;
    use std::collections::BTreeSet;

    fn gpu(matmul: Option<MatmulKernel>) -> Gpu {
        let (device, queue) = block_on(open_device(None)).expect("an adapter");
        Gpu::new(device, queue, EngineOptions { matmul, winograd_bytes: Some(0), ..Default::default() })
            .expect("the adapter was checked")
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
            let missing: Vec<String> = shaders::kernels(&gpu, &gpu.tilings())
                .iter()
                .map(|kernel| name(&kernel.label()))
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
            ("blur", "sum += weights[i]", "sum += 1.001 * weights[i]"),
            ("max_score", "value = max(value, x[first + i])", "value = x[first + i]"),
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
