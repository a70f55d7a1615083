//! Photographs in, heat out.

use super::*;
use crate::image::Fit;
use cases::photographs::{self, Example};

proptest! {
    #![proptest_config(config(24))]

    #[test]
    fn lanczos(
        size in [1..90_u32, 1..90_u32], margins in [0..5_u32, 0..5_u32, 0..5_u32, 0..5_u32], side in 1..70_u32,
        stretch: bool, before in 0..100_u32, seed: u32,
    ) {
        let fit = if stretch { Fit::Stretch } else { Fit::Crop };
        let example = Example { size, margins, fit, side, before, seed: seed.into() };
        for from_texture in [false, true] {
            assert_right(block_on(photographs::lanczos(gpu(), &example, from_texture)));
        }
    }

    #[test]
    fn heat(width in 1..90_u32, height in 1..90_u32, seed: u32) {
        assert_right(block_on(photographs::heat(gpu(), (width, height), seed.into())));
    }
}
