//! Pooling and resizing.

use super::*;
use cases::pools;

/// Quarters of channels in a wider tensor: before, of the operation, after.
fn quarters() -> impl Strategy<Value = [u32; 3]> {
    (0..3_u32, 1..4_u32, 0..3_u32).prop_map(<[u32; 3]>::from)
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn max_pool(shape in [1..3_u32, 1..12_u32, 1..12_u32], quarter in 1..6_u32, format in formats(), seed: u32) {
        assert_right(block_on(pools::max_pool(gpu(), shape, quarter, format, seed.into())));
    }

    #[test]
    fn avg_pool(shape in [1..3_u32, 1..12_u32, 1..12_u32], quarter in 1..6_u32, format in formats(), seed: u32) {
        assert_right(block_on(pools::avg_pool(gpu(), shape, quarter, format, seed.into())));
    }

    #[test]
    fn adaptive_pool(
        batch in 1..3_u32, size in 1..20_u32, bin in 1..20_u32, quarters in [1..5_u32, 0..3_u32], to in formats(),
        seed: u32,
    ) {
        let sizes = [batch, size, bin.min(size)];
        assert_right(block_on(pools::adaptive_pool(gpu(), sizes, quarters, to, seed.into())));
    }

    #[test]
    fn resize(
        batch in 1..3_u32, size in [1..12_u32, 1..12_u32], out_size in [1..30_u32, 1..30_u32], quarters in quarters(),
        align: bool, to in formats(), seed: u32,
    ) {
        assert_right(block_on(pools::resize(gpu(), batch, [size, out_size], quarters, align, to, seed.into())));
    }

    #[test]
    fn resize_through(
        sizes in [1..3_u32, 1..12_u32, 1..20_u32, 1..20_u32], quarters in quarters(), from in formats(), seed: u32,
    ) {
        assert_right(block_on(pools::resize_through(gpu(), sizes, quarters, from, seed.into())));
    }

    #[test]
    fn resize_sum(
        batch in 1..3_u32, sides in prop::collection::vec(1..10_u32, 1..9), out_size in 1..14_u32,
        quarter in 1..4_u32, seed: u32,
    ) {
        assert_right(block_on(pools::resize_sum(gpu(), batch, &sides, out_size, quarter, seed.into())));
    }
}
