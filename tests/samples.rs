//! The default model on the sample photographs, file to score, against the scores PyTorch gave.

mod support;

use pcsnet::image::{open, preprocess};
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
    let table = std::fs::read_to_string(samples.join("expected_scores.csv")).expect("PyTorch's scores");
    let expected: Vec<(&str, f32)> = table
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').expect("two columns"))
        .map(|(path, score)| (path, score.parse().expect("a number")))
        .collect();
    assert!(expected.len() >= 10);
    let scores = expected.iter().map(|(_, score)| *score);
    let spread = scores.clone().fold(f32::MIN, f32::max) - scores.fold(f32::MAX, f32::min);
    for (path, expected) in expected {
        let photograph = open(samples.join(path)).expect("a photograph");
        let input = preprocess(&photograph, model.fit(), model.config().input).expect("fits");
        let score = session.run_blocking(&[input]).expect("runs")[0].score;
        assert!((score - expected).abs() < 1e-3 * spread, "{path}: {score}, PyTorch gave {expected}");
    }
}
