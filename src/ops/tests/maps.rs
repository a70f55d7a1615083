//! Pixels and single-channel maps.

use super::*;
use crate::reference::Corners;
use cases::maps;

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn normalize(shape in [1..3_u32, 1..70_u32], edge: bool, light in lights(), format in formats(), seed: u32) {
        assert_right(block_on(maps::normalize(gpu(), shape, edge, light, format, seed.into())));
    }

    #[test]
    fn pack_nchw(shape in [1..3_u32, 1..70_u32, 1..70_u32], format in formats(), seed: u32) {
        assert_right(block_on(maps::pack_nchw(gpu(), shape, format, seed.into())));
    }

    #[test]
    fn project(pixels in 1..200_u32, quarter in 1..30_u32, seed: u32) {
        assert_right(block_on(maps::project(gpu(), pixels, quarter, seed.into())));
    }

    #[test]
    fn upsample_map(batch in 1..3_u32, sizes in [1..20_u32, 1..80_u32], centers: bool, seed: u32) {
        let corners = if centers { Corners::Centers } else { Corners::Edges };
        assert_right(block_on(maps::upsample_map(gpu(), batch, sizes, corners, seed.into())));
    }

    /// Maps smaller than the blur's radius are mirrored several times.
    #[test]
    fn blur(batch in 1..3_u32, size in 1..80_u32, sigma in 0.5..6.0_f64, seed: u32) {
        assert_right(block_on(maps::blur(gpu(), batch, size, sigma, seed.into())));
    }

    #[test]
    fn max_score(shape in [1..4_u32, 1..40_u32, 1..40_u32], shift in -9.0..9.0_f32, seed: u32) {
        assert_right(block_on(maps::max_score(gpu(), shape, shift, seed.into())));
    }
}
