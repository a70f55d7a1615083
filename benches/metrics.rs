//! Metrics of a test set the size of MVTec AD's `bottle`: 20 normal images and 63 with a defect, maps of 224 x 224.

#[path = "../tests/support/mod.rs"]
mod support;

use criterion::{Criterion, criterion_group, criterion_main};
use pcsnet::metrics::{PixelMetrics, PixelScores, ranking};
use std::time::Duration;
use support::Random;

const SIDE: usize = 224;
const NORMAL: u64 = 20;
const ANOMALOUS: u64 = 63;

/// Two discs, the defects.
fn mask() -> Vec<bool> {
    let inside = |index: usize, [x, y, radius]: [usize; 3]| {
        (index % SIDE).abs_diff(x).pow(2) + (index / SIDE).abs_diff(y).pow(2) < radius * radius
    };
    (0..SIDE * SIDE).map(|index| inside(index, [80, 60, 25]) || inside(index, [150, 160, 12])).collect()
}

/// Noise, higher where the defects are.
fn map(seed: u64, mask: &[bool]) -> Vec<f32> {
    let noise = Random::new(seed).values(mask.len());
    noise.into_iter().zip(mask).map(|(value, &defect)| value + if defect { 2.0 } else { 0.0 }).collect()
}

fn pixel_metrics(normal: &[Vec<f32>], anomalous: &[Vec<f32>], mask: &[bool]) -> PixelMetrics {
    let mut scores = PixelScores::new();
    normal.iter().for_each(|map| scores.add_normal(map).expect("finite values"));
    anomalous.iter().for_each(|map| scores.add_anomalous("disc", map, mask, SIDE).expect("finite values"));
    scores.finish().expect("all in memory").0
}

fn metrics(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(3));
    let scores = Random::new(1).values(83);
    let classes: Vec<bool> = (0..scores.len() as u64).map(|index| index >= NORMAL).collect();
    group.bench_function("AUROC, AP, F1 of images", |bencher| bencher.iter(|| ranking(&scores, &classes)));
    let (mask, sound) = (mask(), vec![false; SIDE * SIDE]);
    let normal: Vec<_> = (0..NORMAL).map(|seed| map(seed, &sound)).collect();
    let anomalous: Vec<_> = (0..ANOMALOUS).map(|seed| map(NORMAL + seed, &mask)).collect();
    group.bench_function("AUROC, AP, F1, AUPRO of pixels", |bencher| {
        bencher.iter(|| pixel_metrics(&normal, &anomalous, &mask));
    });
    group.finish();
}

criterion_group!(benches, metrics);
criterion_main!(benches);
