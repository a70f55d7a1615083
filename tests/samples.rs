//! The default model on the sample photographs, file to score, against the scores PyTorch gave.

#[path = "../examples/batch_folder.rs"]
#[allow(dead_code, reason = "the example's main is not used")]
mod batch_folder;
mod support;

use image::Rgb;
use pcsnet::image::{RgbImage, open, preprocess};
use pcsnet::inspect::{Calibration, Inspector};
use pcsnet::{Precision, weights::Weights};
use pollster::block_on;
use std::path::Path;
use support::engine;

#[test]
fn default_model_scores_as_in_pytorch() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let weights = Weights::open([project.join("weights/default.safetensors")]).expect("the default model");
    // The file holds f16 values, so f32 keeps them exactly.
    let model = block_on(engine().load(&weights, Precision::F32)).expect("a sound model");
    let session = block_on(model.session(1)).expect("one image fits");
    let samples = project.join("samples");
    let (expected, spread) = (expected_scores(), spread(&expected_scores()));
    for (path, expected) in expected {
        let photograph = open(samples.join(&path)).expect("a photograph");
        let input = preprocess(&photograph, model.fit(), model.config().input).expect("fits");
        let score = session.run_blocking(&[input]).expect("runs")[0].score;
        assert!((score - expected).abs() < 1e-3 * spread, "{path}: {score}, PyTorch gave {expected}");
    }
}

#[test]
fn the_default_model_knows_its_own_parts_from_other_things() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let weights = Weights::open([project.join("weights/default.safetensors")]).expect("the default model");
    let model = block_on(engine().load(&weights, Precision::F32)).expect("a sound model");
    let calibration = Calibration::from_metadata(&weights.metadata()).expect("the model's own words");
    let inspector = block_on(Inspector::new(&model, calibration, 1)).expect("one image fits");
    let is_unlike = |photograph: &RgbImage| {
        let inspection = block_on(inspector.inspect(photograph)).expect("runs");
        inspection.is_unlike(inspector.calibration()).expect("the default model is calibrated")
    };
    for (path, _) in expected_scores() {
        assert!(!is_unlike(&open(project.join("samples").join(&path)).expect("a photograph")), "{path}");
    }
    for (name, pixel) in FOREIGN {
        let photograph = RgbImage::from_fn(400, 300, |x, y| Rgb(pixel(x, y)));
        assert!(is_unlike(&photograph), "{name}");
    }
}

type Pixel = fn(u32, u32) -> [u8; 3];

/// Pictures without any part: cards, a gradient, stripes, and surfaces like nature's, noise whose amplitude is that of
/// its wavelength.
const FOREIGN: [(&str, Pixel); 7] = [
    ("a grey card", |_, _| [128; 3]),
    ("a white card", |_, _| [255; 3]),
    ("darkness", |_, _| [0; 3]),
    ("a gradient", |x, y| [(x * 255 / 400) as u8, (y * 255 / 300) as u8, 90]),
    ("stripes", |x, _| [if x / 10 % 2 == 0 { 220 } else { 20 }; 3]),
    ("a grey surface", |x, y| [surface(x, y, 0); 3]),
    ("a coloured surface", |x, y| [surface(x, y, 1), surface(x, y, 2), surface(x, y, 3)]),
];

fn surface(x: u32, y: u32, seed: u32) -> u8 {
    // A hash's noise at the corners of squares, interpolated between them.
    let corner = |x: u32, y: u32| {
        let mut hash = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ seed.wrapping_mul(0xc2b2_ae3d);
        hash = (hash ^ (hash >> 15)).wrapping_mul(0x2c1b_3c6d);
        hash = (hash ^ (hash >> 12)).wrapping_mul(0x297a_2d39);
        f64::from(hash ^ (hash >> 15)) / f64::from(u32::MAX) - 0.5
    };
    let octave = |size: u32| {
        let [(column, across), (row, down)] = [x, y].map(|at| (at / size, f64::from(at % size) / f64::from(size)));
        let line = |row| corner(column, row) * (1.0 - across) + corner(column + 1, row) * across;
        f64::from(size) * (line(row) * (1.0 - down) + line(row + 1) * down)
    };
    let sum: f64 = [64, 32, 16, 8, 4, 2, 1].map(octave).iter().sum();
    (128.0 + 2.0 * sum).clamp(0.0, 255.0) as u8
}

/// PyTorch's scores of the samples.
fn expected_scores() -> Vec<(String, f32)> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let table = std::fs::read_to_string(samples.join("expected_scores.csv")).expect("PyTorch's scores");
    let rows = table.lines().skip(1).map(|line| line.split_once(',').expect("two columns"));
    let scores: Vec<_> = rows.map(|(path, score)| (path.to_owned(), score.parse().expect("a number"))).collect();
    assert!(scores.len() >= 10);
    scores
}

fn spread(scores: &[(String, f32)]) -> f32 {
    let scores = scores.iter().map(|(_, score)| *score);
    scores.clone().fold(f32::MIN, f32::max) - scores.fold(f32::MAX, f32::min)
}

#[test]
fn the_batch_folder_example_ranks_a_folder() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let expected = expected_scores();
    // More than a batch, and not a multiple of one; a file that is no photograph is passed over.
    for (index, (path, _)) in expected.iter().enumerate().take(7) {
        let copy = folder.path().join(format!("{index}.png"));
        std::fs::copy(project.join("samples").join(path), copy).expect("copies");
    }
    std::fs::write(folder.path().join("notes.txt"), "no photograph").expect("writes");
    let models = [project.join("weights/default.safetensors")];
    let ranked = block_on(batch_folder::scores(folder.path(), &models)).expect("runs");
    assert_eq!(ranked.len(), 7);
    assert!(ranked.is_sorted_by(|(_, a), (_, b)| a >= b), "{ranked:?}");
    for (path, score) in ranked {
        let index: usize = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok()).expect("a copy's name");
        let (name, truth) = &expected[index];
        // Weights in f16.
        assert!((score - truth).abs() < 1e-2 * spread(&expected), "{name}: {score}, PyTorch gave {truth}");
    }
}
