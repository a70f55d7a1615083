//! Metrics against scikit-learn, scikit-image and definitions followed by hand; `fixtures/metrics.py` made the numbers.

mod support;

use pcsnet::metrics::{Metric, PixelMetrics, PixelScores, ranking};
use serde::Deserialize;
use std::collections::BTreeMap;
use support::Random;

const TOLERANCE: f64 = 1e-9;

#[derive(Deserialize)]
struct Fixture {
    images: Vec<ImageCase>,
    pixels: Vec<PixelCase>,
}

#[derive(Deserialize)]
struct ImageCase {
    name: String,
    scores: Vec<f32>,
    anomalous: Vec<bool>,
    #[serde(flatten)]
    expected: Expected,
}

/// `None` is undefined.
#[derive(Deserialize)]
struct Expected {
    auroc: Option<f64>,
    average_precision: Option<f64>,
    best_f1: Option<f64>,
}

#[derive(Deserialize)]
struct PixelCase {
    name: String,
    width: usize,
    images: Vec<Picture>,
    all: ExpectedPixels,
    kinds: BTreeMap<String, ExpectedPixels>,
}

#[derive(Deserialize)]
struct Picture {
    kind: Option<String>,
    map: Vec<f32>,
    mask: Vec<bool>,
}

#[derive(Deserialize)]
struct ExpectedPixels {
    #[serde(flatten)]
    ranking: Expected,
    regions: u64,
    aupro: Option<f64>,
    aupro_200_steps: Option<f64>,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics.json")).expect("what metrics.py writes")
}

fn agrees(what: &str, found: Metric, expected: Option<f64>) {
    match (found, expected) {
        (Ok(found), Some(expected)) => assert!((found - expected).abs() < TOLERANCE, "{what}: {found}, not {expected}"),
        (Err(_), None) => {}
        _ => panic!("{what}: {found:?}, not {expected:?}"),
    }
}

fn ranking_agrees(what: &str, found: &pcsnet::metrics::Ranking, expected: &Expected) {
    agrees(&format!("{what}, AUROC"), found.auroc, expected.auroc);
    agrees(&format!("{what}, average precision"), found.average_precision, expected.average_precision);
    agrees(&format!("{what}, best F1"), found.best_f1.map(|best| best.f1), expected.best_f1);
}

fn pixels_agree(what: &str, found: &PixelMetrics, expected: &ExpectedPixels) {
    ranking_agrees(what, &found.ranking, &expected.ranking);
    assert_eq!(found.regions, expected.regions, "{what}");
    agrees(&format!("{what}, AUPRO"), found.aupro, expected.aupro);
    agrees(&format!("{what}, AUPRO of 200 steps"), found.aupro_200_steps, expected.aupro_200_steps);
}

#[test]
fn image_metrics_are_scikit_learns() {
    for case in fixture().images {
        let found = ranking(&case.scores, &case.anomalous).expect("finite scores");
        ranking_agrees(&case.name, &found, &case.expected);
        if let Ok(best) = found.best_f1 {
            // The threshold, taken at its word, gives the F1.
            let called: Vec<bool> = case.scores.iter().map(|score| *score >= best.threshold).collect();
            let both = called.iter().zip(&case.anomalous).filter(|(called, anomalous)| **called && **anomalous).count();
            let sum = [&called, &case.anomalous].map(|flags| flags.iter().filter(|flag| **flag).count());
            let f1 = 2.0 * both as f64 / (sum[0] + sum[1]) as f64;
            assert!((f1 - best.f1).abs() < TOLERANCE, "{}: {f1}, not {}", case.name, best.f1);
        }
    }
}

#[test]
fn undefined_tells_why() {
    let reason = |anomalous: &[bool]| {
        let scores = vec![0.5; anomalous.len()];
        ranking(&scores, anomalous).expect("finite scores").auroc.expect_err("undefined").to_string()
    };
    assert_eq!(reason(&[]), "there are no samples");
    assert_eq!(reason(&[false; 3]), "there are no anomalous samples");
    assert_eq!(reason(&[true; 3]), "there are no normal samples");
}

#[test]
fn pixel_metrics_are_scikit_learns_and_the_definitions() {
    for case in fixture().pixels {
        let mut scores = PixelScores::new();
        for picture in &case.images {
            match &picture.kind {
                Some(kind) => scores.add_anomalous(kind, &picture.map, &picture.mask, case.width),
                None => scores.add_normal(&picture.map),
            }
            .expect("sound maps");
        }
        let (all, kinds) = scores.finish().expect("in memory");
        pixels_agree(&case.name, &all, &case.all);
        assert!(kinds.keys().eq(case.kinds.keys()), "{}", case.name);
        for (kind, expected) in &case.kinds {
            pixels_agree(&format!("{}, {kind}", case.name), &kinds[kind], expected);
        }
    }
}

/// AUPRO as it is defined: every distinct value is a threshold, at each all pixels are counted.
fn slow_aupro(maps: &[Vec<f32>], masks: &[Vec<bool>], width: usize) -> f64 {
    let mut thresholds: Vec<f32> = maps.concat();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let regions: Vec<Vec<f32>> = maps.iter().zip(masks).flat_map(|(map, mask)| regions_of(map, mask, width)).collect();
    let normal: Vec<f32> = maps.concat().into_iter().zip(masks.concat()).filter(|(_, m)| !m).map(|(v, _)| v).collect();
    let share = |values: &[f32], threshold: f32| {
        values.iter().filter(|value| **value >= threshold).count() as f64 / values.len() as f64
    };
    let mut area = 0.0;
    let mut last = (0.0, 0.0);
    for threshold in thresholds {
        let rate = share(&normal, threshold);
        let overlap = regions.iter().map(|region| share(region, threshold)).sum::<f64>() / regions.len() as f64;
        if rate > 0.3 {
            let end = last.1 + (overlap - last.1) * (0.3 - last.0) / (rate - last.0);
            return (area + (0.3 - last.0) * (last.1 + end) / 2.0) / 0.3;
        }
        area += (rate - last.0) * (last.1 + overlap) / 2.0;
        last = (rate, overlap);
    }
    (area + (0.3 - last.0) * last.1) / 0.3
}

/// The values of each 8-connected region, found by growing labels until nothing changes.
fn regions_of(map: &[f32], mask: &[bool], width: usize) -> Vec<Vec<f32>> {
    let mut labels: Vec<usize> = (0..mask.len()).collect();
    let touch = |a: usize, b: usize| (a % width).abs_diff(b % width) <= 1 && (a / width).abs_diff(b / width) <= 1;
    let foreground: Vec<usize> = (0..mask.len()).filter(|&pixel| mask[pixel]).collect();
    loop {
        let before = labels.clone();
        for &a in &foreground {
            for &b in &foreground {
                if touch(a, b) {
                    labels[a] = labels[a].min(labels[b]);
                }
            }
        }
        if labels == before {
            break;
        }
    }
    let mut regions: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    foreground.iter().for_each(|&pixel| regions.entry(labels[pixel]).or_default().push(map[pixel]));
    regions.into_values().collect()
}

#[test]
fn aupro_is_what_its_definition_gives() {
    let width = 20;
    for seed in 0..12 {
        let mut random = Random::new(seed);
        // Some seeds have many equal values, some detect nothing, some everything.
        let (levels, strength) = ([4.0, 1000.0, 1e9][seed as usize % 3], [0.0, 1.0, 3.0, 30.0][seed as usize % 4]);
        let masks: Vec<Vec<bool>> =
            (0..4).map(|_| random.values(400).iter().map(|value| *value > 1.8).collect()).collect();
        let map = |mask: &Vec<bool>| {
            let noise = random.values(400);
            let value = |(noise, mask): (f32, &bool)| ((noise + f32::from(*mask) * strength) * levels).round() / levels;
            noise.into_iter().zip(mask).map(value).collect::<Vec<f32>>()
        };
        let maps: Vec<Vec<f32>> = masks.iter().map(map).collect();
        let mut scores = PixelScores::new();
        for (map, mask) in maps.iter().zip(&masks) {
            scores.add_anomalous("hole", map, mask, width).expect("sound maps");
        }
        let (all, kinds) = scores.finish().expect("in memory");
        agrees(&format!("seed {seed}"), all.aupro, Some(slow_aupro(&maps, &masks, width)));
        assert_eq!(all, kinds["hole"], "one kind is all");
    }
}

#[test]
fn unsound_maps_are_refused() {
    let mut scores = PixelScores::new();
    let text = scores.add_normal(&[0.0, f32::NAN]).expect_err("no number").to_string();
    assert_eq!(text, "scores: expected finite numbers, found NaN at place 1");
    let text = scores.add_anomalous("a", &[0.0; 4], &[true; 3], 2).expect_err("a pixel less").to_string();
    assert_eq!(text, "mask: expected 4 pixels, as many as the map has, found 3");
    assert!(scores.add_anomalous("a", &[0.0; 3], &[true; 3], 2).is_err(), "broken rows");
    assert!(ranking(&[0.0], &[]).is_err());
}
