//! Backward passes, losses and the optimiser.

use super::*;
use crate::ops::Gradient;
use cases::gradients::{self, Convolution, Looked, NormPart};

fn convolutions() -> impl Strategy<Value = Convolution> {
    let kernel = prop::sample::select(vec![1, 3]);
    // Either of Winograd's algorithms.
    let height = prop_oneof![1..9_u32, 24..28_u32];
    ((1..3_u32, height, 1..9_u32).prop_map(<[u32; 3]>::from), kernel, [1..12_u32, 1..12_u32], 0..u64::from(u16::MAX))
        .prop_map(|(shape, kernel, quarters, seed)| Convolution { shape, kernel, quarters, seed })
}

fn norm_parts() -> impl Strategy<Value = NormPart> {
    use NormPart::*;
    prop::sample::select(vec![Output, RunningMean, RunningVariance, InputGradient, ScaleGradient, ShiftGradient])
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn trained_conv(convolution in convolutions()) {
        assert_right(block_on(gradients::trained_conv(gpu(), convolution)));
    }

    #[test]
    fn input_gradient(convolution in convolutions()) {
        assert_right(block_on(gradients::input_gradient(gpu(), convolution)));
    }

    #[test]
    fn weight_gradient(convolution in convolutions()) {
        assert_right(block_on(gradients::weight_gradient(gpu(), convolution)));
    }

    #[test]
    fn weight_gradient_tap_by_tap(convolution in convolutions()) {
        assert_right(block_on(gradients::weight_gradient_tap_by_tap(gpu(), convolution)));
    }

    #[test]
    fn batch_norm(
        groups in 1..4_u32,
        // With two values a group, a channel's gradient is all but 0, and rounding shows.
        shape in [2..4_u32, 2..20_u32, 1..20_u32],
        quarter in 1..9_u32,
        part in norm_parts(),
        seed: u16,
    ) {
        assert_right(block_on(gradients::batch_norm(gpu(), groups, shape, quarter, part, seed.into())));
    }

    #[test]
    fn relu(pixels in 1..90_u32, quarters in [0..4_u32, 1..30_u32], skip: bool, seed: u16) {
        assert_right(block_on(gradients::relu(gpu(), pixels, quarters, skip, seed.into())));
    }

    #[test]
    fn resize(
        from in [1..20_u32, 1..20_u32],
        to in [1..40_u32, 1..40_u32],
        quarters in [0..5_u32, 0..4_u32],
        align: bool,
        added: bool,
        seed: u16,
    ) {
        let gradient = if added { Gradient::Added } else { Gradient::New };
        // A map's single value, or channels in fours.
        let channels = [quarters[0], (4 * quarters[1]).max(1)];
        assert_right(block_on(gradients::resize(gpu(), [from, to], channels, align, gradient, seed.into())));
    }

    #[test]
    fn adaptive_pool(
        batch in 1..3_u32,
        size in 1..20_u32,
        bin in 1..24_u32,
        quarters in [1..4_u32, 0..3_u32],
        seed: u16,
    ) {
        assert_right(block_on(gradients::adaptive_pool(gpu(), [batch, size, bin], quarters, seed.into())));
    }

    #[test]
    fn project(pixels in 1..90_u32, quarter in 1..30_u32, of_weights: bool, seed: u16) {
        assert_right(block_on(gradients::project(gpu(), pixels, quarter, of_weights, seed.into())));
    }

    #[test]
    fn nearest_ranks(rows in 1..9_u32, candidates in 1..60_u32, share in 0.0..1.0_f32, seed: u16) {
        let nearest = 4 * ((share * candidates as f32) as u32).max(1);
        assert_right(block_on(gradients::nearest_ranks(gpu(), rows, 4 * candidates, nearest, seed.into())));
    }

    #[test]
    fn nearest_gradient(positions in 1..40_u32, quarter in 1..20_u32, seed: u16) {
        assert_right(block_on(gradients::nearest_gradient(gpu(), positions, quarter, seed.into())));
    }

    #[test]
    fn squared_error(batch in 1..4_u32, side in 1..40_u32, seed: u16) {
        assert_right(block_on(gradients::squared_error(gpu(), batch, side, seed.into())));
    }

    #[test]
    fn distance_losses(grid in 1..20_u32, hardest in 1..70_u32, seed: u16) {
        for looked in [Looked::Terms, Looked::Gradient, Looked::Radius] {
            assert_right(block_on(gradients::distance_losses(gpu(), grid, hardest, looked, seed.into())));
        }
    }

    #[test]
    fn adam(count in 1..300_u32, steps in 1..6_i32, seed: u16) {
        assert_right(block_on(gradients::adam(gpu(), 4 * count, steps, seed.into())));
    }
}
