//! Distances and the nearest of them.

use super::*;
use crate::gpu::Binding;
use crate::ops::{self, Band, LevelProducts};
use crate::reference::{self, Corners};

fn nearest_of(squared: &Maps, first: u32, total: u32, nearest: u32) -> Vec<f32> {
    let mut graph = Graph::fenced(gpu(), FENCE);
    let tensor = input(&mut graph, squared);
    let out = graph.tensor("out", [1, total, 1, nearest]);
    let rows = out.row_range(first, tensor.pixels());
    ops::nearest(&mut graph, "out", tensor, rows);
    let values = run(graph, &[(tensor, &squared.values)], rows);
    let inside = rows.first as usize..(rows.first + rows.rows * nearest) as usize;
    assert!(values[..inside.start].iter().chain(&values[inside.end..]).all(|&value| value == SENTINEL));
    values[inside].to_vec()
}

/// Values that make a selection hard: spread, all equal, few distinct ones, zeros, huge ranges, one far outlier.
fn hard_values(kind: u32, count: usize, seed: u64) -> Vec<f32> {
    let spread = values(count, seed);
    let value = |(index, value): (usize, f32)| match kind {
        0 => (value + 1.0) * 500.0,
        1 => 3.25,
        2 => ((value + 1.0) * 3.0).floor(),
        3 => value.max(0.0),
        4 => (value * 40.0).exp(),
        _ => {
            if index == 0 {
                1e30
            } else {
                100.0 + value * 1e-4
            }
        }
    };
    spread.into_iter().enumerate().map(value).collect()
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn nearest(
        rows in 1..8_u32, candidates in 1..600_u32, share in 0.0..1.0_f32, kind in 0..6_u32, seed: u32,
        first in 0..4_u32,
    ) {
        let candidates = 4 * candidates;
        let nearest = 4 * ((share * candidates.min(1024) as f32 / 4.0) as u32).max(1);
        let values = hard_values(kind, (rows * candidates) as usize, seed.into());
        let squared = Maps { shape: [1, rows as usize, 1, candidates as usize], values };
        // Exact, but for a square root's last bit.
        let truth = reference::nearest(&squared, nearest as usize);
        let found = nearest_of(&squared, first, rows + first + 2, nearest);
        assert!(found.iter().zip(&truth.values).all(|(a, b)| (a - b).abs() <= 1.2e-7 * b), "kind {kind}");
    }
}

#[test]
fn nearest_at_full_size() {
    let squared = Maps { shape: [1, 5, 1, 4096], values: hard_values(0, 5 * 4096, 7) };
    assert_close(&nearest_of(&squared, 0, 5, 200), &reference::nearest(&squared, 200).values, 1.2e-7);
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn nearest_prototype(positions in 1..60_u32, quarter in 1..200_u32, channels in 1..6_u32, seed: u16) {
        let case = cases::selection::nearest_prototype(gpu(), positions, quarter, 4 * channels, seed.into());
        assert_right(block_on(case));
    }

    #[test]
    fn square_norm(pixels in 1..200_u32, quarter in 1..30_u32, seed: u32) {
        let x = random_maps([1, pixels, 1, 4 * quarter], seed.into());
        let center = values(4 * quarter as usize, u64::from(seed) + 1);
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input(&mut graph, &x);
        let out = ops::square_norm(&mut graph, "out", tensor, &vector(gpu(), &center));
        assert_close(&run(graph, &[(tensor, &x.values)], out.all()), &reference::square_norm(&x, &center), 1e-5);
    }

    /// Products at each level's resolution, interpolated, against distances of the interpolated descriptors.
    #[test]
    fn distances(
        grid in 2..20_u32, sides in [1..12_u32, 1..8_u32, 1..5_u32], quarter in 1..20_u32, band in 0.0..1.0_f32,
        seed: u32,
    ) {
        let seed = u64::from(seed);
        let (prototypes, channels) = (4 * quarter as usize, [8, 4, 12]);
        let levels: Vec<Maps> =
            [0, 1, 2].map(|i| random_maps([1, sides[i], sides[i], channels[i]], seed + i as u64)).into();
        let grid_levels: Vec<Maps> =
            levels.iter().map(|level| reference::resize(level, [grid as usize; 2], Corners::Edges)).collect();
        let whole = Maps::concat(&grid_levels);
        let constants = values(whole.shape[3] * prototypes, seed + 9);
        let truth = reference::distances(&whole, &constants);
        let norms = reference::square_norm(&whole, &[0.0; 24]);
        let columns = |column: usize| constants[column..].iter().step_by(prototypes);
        let prototype_norms: Vec<f32> =
            (0..prototypes).map(|column| columns(column).map(|value| value * value).sum()).collect();

        let first_row = (band * grid as f32) as u32;
        let mut graph = Graph::fenced(gpu(), FENCE);
        let position_norms = graph.external("norms", [1, grid, grid, 1]);
        let products = [0, 1, 2].map(|i| graph.external("products", [1, sides[i], sides[i], prototypes as u32]));
        let multiplied = products.map(|products| LevelProducts { products, first_row: 0 }).into();
        let band = Band { grid, first_row, rows: grid - first_row, first_position: 0, levels: multiplied };
        let bound_norms = vector(gpu(), &prototype_norms);
        let out = ops::distances(&mut graph, "out", &band, position_norms, Binding::read(&bound_norms));
        let mut first_channel = 0;
        let product_values: Vec<Vec<f32>> = levels
            .iter()
            .map(|level| {
                let [_, height, width, channels] = level.shape;
                let rows = &constants[first_channel * prototypes..][..channels * prototypes];
                first_channel += channels;
                reference::matmul(&level.values, rows, [height * width, channels, prototypes])
            })
            .collect();
        let inputs = [
            (position_norms, norms.as_slice()),
            (products[0], &product_values[0]),
            (products[1], &product_values[1]),
            (products[2], &product_values[2]),
        ];
        let skipped = (first_row * grid) as usize * prototypes;
        assert_close(&run(graph, &inputs, out.all()), &truth.values[skipped..], 1e-5);
    }
}
