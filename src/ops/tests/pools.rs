//! Pooling and resizing.

use super::*;
use crate::ops;
use crate::reference::{self, Corners};

/// Runs an operation that makes its own output.
fn unary(x: &Maps, op: impl FnOnce(&mut Graph<'_>, Tensor) -> Tensor) -> Vec<f32> {
    let mut graph = Graph::fenced(gpu(), FENCE);
    let tensor = input(&mut graph, x);
    let out = op(&mut graph, tensor);
    run(graph, &[(tensor, &x.values)], out.all())
}

/// Runs an operation that writes some channels of a wider tensor, and gives these alone; the others must be untouched.
fn into_slice(
    x: &Maps,
    [side_y, side_x, before, channels, after]: [u32; 5],
    op: impl FnOnce(&mut Graph<'_>, Tensor, Slice),
) -> Vec<f32> {
    let mut graph = Graph::fenced(gpu(), FENCE);
    let tensor = input(&mut graph, x);
    let wide = graph.tensor("wide", [tensor.batch, side_y, side_x, before + channels + after]);
    let slice = wide.channel_range(before, channels);
    op(&mut graph, tensor, slice);
    let values = run(graph, &[(tensor, &x.values)], slice);
    let part = before as usize..(before + channels) as usize;
    let mut inside = Vec::new();
    for pixel in values.chunks_exact(wide.channels as usize) {
        inside.extend(&pixel[part.clone()]);
        assert!(pixel[..part.start].iter().chain(&pixel[part.end..]).all(|&value| value == SENTINEL));
    }
    inside
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn max_pool(batch in 1..3_u32, height in 1..12_u32, width in 1..12_u32, quarter in 1..6_u32, seed: u32) {
        let x = random_maps([batch, height, width, 4 * quarter], seed.into());
        assert_close(&unary(&x, |graph, x| ops::max_pool(graph, "out", x)), &reference::max_pool(&x).values, 0.0);
    }

    #[test]
    fn avg_pool(batch in 1..3_u32, height in 1..12_u32, width in 1..12_u32, quarter in 1..6_u32, seed: u32) {
        let x = random_maps([batch, height, width, 4 * quarter], seed.into());
        assert_close(&unary(&x, |graph, x| ops::avg_pool(graph, "out", x)), &reference::avg_pool(&x).values, 1e-6);
    }

    #[test]
    fn adaptive_pool(batch in 1..3_u32, size in 1..20_u32, bin in 1..20_u32, quarter in 1..5_u32, more in 0..3_u32, seed: u32) {
        let bin = bin.min(size);
        let x = random_maps([batch, size, size, 4 * (quarter + more)], seed.into());
        let values = into_slice(&x, [bin, bin, 0, 4 * quarter, 4 * more], |graph, x, out| ops::adaptive_pool(graph, "out", x, out));
        let truth = reference::adaptive_pool(&x.leading(4 * quarter as usize), bin as usize);
        assert_close(&values, &truth.values, 1e-6);
    }

    #[test]
    fn resize(
        batch in 1..3_u32, height in 1..12_u32, width in 1..12_u32, out_height in 1..30_u32, out_width in 1..30_u32,
        [before, quarter, after] in [0..3_u32, 1..4_u32, 0..3_u32], align: bool, seed: u32,
    ) {
        let x = random_maps([batch, height, width, 4 * quarter], seed.into());
        let shape = [out_height, out_width, 4 * before, 4 * quarter, 4 * after];
        let values = into_slice(&x, shape, |graph, x, out| ops::resize(graph, "out", x, out, align));
        let corners = if align { Corners::Centers } else { Corners::Edges };
        let truth = reference::resize(&x, [out_height as usize, out_width as usize], corners);
        assert_close(&values, &truth.values, 1e-5);
    }

    #[test]
    fn resize_through(
        batch in 1..3_u32, size in 1..12_u32, through in 1..20_u32, out_size in 1..20_u32,
        [before, quarter, after] in [0..3_u32, 1..4_u32, 0..3_u32], seed: u32,
    ) {
        let x = random_maps([batch, size, size, 4 * quarter], seed.into());
        let shape = [out_size, out_size, 4 * before, 4 * quarter, 4 * after];
        let values = into_slice(&x, shape, |graph, x, out| ops::resize_through(graph, "out", x, through, out));
        let truth = reference::resize_through(&x, through as usize, out_size as usize);
        assert_close(&values, &truth.values, 1e-5);
    }

    #[test]
    fn resize_sum(batch in 1..3_u32, sides in prop::collection::vec(1..10_u32, 1..9), out_size in 1..14_u32, quarter in 1..4_u32, seed: u32) {
        let parts: Vec<Maps> =
            (0..).zip(&sides).map(|(i, &side)| random_maps([batch, side, side, 4 * quarter], u64::from(seed) + i)).collect();
        let pixels: u32 = sides.iter().map(|side| batch * side * side).sum();
        let joined = parts.iter().flat_map(|part| part.values.iter().copied()).collect();
        let x = Maps { shape: [1, pixels as usize, 1, 4 * quarter as usize], values: joined };
        let values = unary(&x, |graph, x| ops::resize_sum(graph, "out", x, &sides, batch, out_size));
        assert_close(&values, &reference::resize_sum(&parts, out_size as usize).values, 1e-5);
    }
}
