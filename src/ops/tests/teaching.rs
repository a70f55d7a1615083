//! What only teaching needs.

use super::*;
use cases::teaching;

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn warp(size in [1..60_u32, 1..60_u32], side in 1..80_u32, count in 1..5_u32, format in formats(), seed: u16) {
        assert_right(block_on(teaching::warp(gpu(), size, side, count, format, seed.into())));
    }

    /// Fewer rows than candidates, fewer distinct rows than wanted, and the rounds of a whole selection.
    #[test]
    fn coreset(rows in 1..500_u32, quarter in 1..6_u32, wanted in 1..120_u32, rounds in 1..9_usize, seed: u16) {
        assert_right(block_on(teaching::coreset(gpu(), rows, quarter, wanted, rounds, seed.into())));
    }

    #[test]
    fn describe(
        shape in [1..3_u32, 1..20_u32, 1..20_u32], quarter in 1..5_u32, grid in 1..30_u32, format in formats(),
        seed: u16,
    ) {
        assert_right(block_on(teaching::describe(gpu(), shape, quarter, grid, format, seed.into())));
    }

    #[test]
    fn join_levels(batch in 1..3_u32, grid in 1..40_u32, count in 1..4_usize, seed: u16) {
        assert_right(block_on(teaching::join_levels(gpu(), batch, grid, count, seed.into())));
    }
}
