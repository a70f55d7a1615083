//! The default model on the sample photographs, file to score, against the scores PyTorch gave.

#[path = "../examples/batch_folder.rs"]
#[allow(dead_code, reason = "the example's main is not used")]
mod batch_folder;
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
    let (expected, spread) = (expected_scores(), spread(&expected_scores()));
    for (path, expected) in expected {
        let photograph = open(samples.join(&path)).expect("a photograph");
        let input = preprocess(&photograph, model.fit(), model.config().input).expect("fits");
        let score = session.run_blocking(&[input]).expect("runs")[0].score;
        assert!((score - expected).abs() < 1e-3 * spread, "{path}: {score}, PyTorch gave {expected}");
    }
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
