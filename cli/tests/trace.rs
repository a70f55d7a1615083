//! `pcsnet trace`.

mod support;

use pcsnet::image::{Fit, Frame, preprocess};
use pcsnet::weights::{NamedTensor, Stored, read_tensor, write};
use predicates::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use support::*;

/// The stages of the small model, with their channels and side.
const STAGES: [(&str, usize, usize); 12] = [
    ("feature1", 16, 16),
    ("feature2", 32, 8),
    ("feature3", 48, 4),
    ("descriptor", 96, 16),
    ("score", 8, 16),
    ("cas_bin0", 16, 12),
    ("cas_bin1", 16, 6),
    ("cas_res1", 16, 16),
    ("cas_final", 16, 16),
    ("cas_logits64", 1, 16),
    ("map", 1, 64),
    ("blurred", 0, 64),
];

/// Writes a tensor `input` of one image.
fn write_input(folder: &Path, side: usize, values: &[f32]) {
    let tensor = NamedTensor { name: "input", shape: &[1, 3, side, side], values, stored: Stored::F32 };
    write(folder.join("input.safetensors"), &[tensor], &BTreeMap::new()).expect("a writable folder");
}

/// A picture as PyTorch's loaders would hand it to the network: channel by channel, normalised.
fn normalised(picture: &image::RgbImage) -> Vec<f32> {
    let input = preprocess(picture, Fit::Crop, SIDE).expect("a picture");
    let channels = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)];
    let plane = |(channel, (mean, deviation)): (usize, (f32, f32))| {
        input.pixels().map(move |pixel| (f32::from(pixel[channel]) / 255.0 - mean) / deviation).collect::<Vec<_>>()
    };
    channels.into_iter().enumerate().flat_map(plane).collect()
}

#[test]
fn every_stage_and_the_map_that_detect_gives() {
    let folder = folder_with_model();
    let picture = picture(90, 70, 1);
    write_picture(&folder.path().join("a.png"), &picture);
    write_input(folder.path(), SIDE as usize, &normalised(&picture));
    pcsnet(folder.path())
        .args(["trace", "--model", "model.safetensors", "--input", "input.safetensors", "--out", "stages.safetensors"])
        .assert()
        .success()
        .stdout("12 stages written to stages.safetensors\n");
    let stage = |name: &str, shape: &[usize]| {
        read_tensor(folder.path().join("stages.safetensors"), name, shape).expect("a stage")
    };
    for (name, channels, side) in STAGES.iter().filter(|(name, ..)| *name != "blurred") {
        stage(name, &[1, *channels, *side, *side]);
    }
    let frame = Frame::new(Fit::Crop, picture.dimensions(), SIDE).expect("large enough");
    let traced = frame.to_original(&stage("blurred", &[SIDE as usize, SIDE as usize])).expect("a map of its size");

    pcsnet(folder.path()).args(["detect", "--raw", "--model", "model.safetensors", "a.png"]).assert().success();
    let (_, detected) = read_npy(&folder.path().join("pcsnet-out/a.png.map.npy"));
    let largest = detected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let range = largest - detected.iter().copied().fold(f32::INFINITY, f32::min);
    assert!(range > 0.0 && traced.len() == detected.len());
    for (traced, detected) in traced.iter().zip(&detected) {
        // The input is normalised on the GPU there and by this test here, so roundings differ. What was not inspected
        // is NaN in both.
        let same = (traced - detected).abs() <= 1e-4 * range || (traced.is_nan() && detected.is_nan());
        assert!(same, "traced {traced}, detected {detected}");
    }
}

/// Runs `trace`, which must end with one line and write nothing.
fn refuses(folder: &Path, out: &str, says: &str) {
    pcsnet(folder)
        .args(["trace", "--model", "model.safetensors", "--input", "input.safetensors", "--out", out])
        .assert()
        .code(1)
        .stderr(predicate::str::starts_with("error: ").and(predicate::str::contains(says)));
    assert!(!folder.join("stages.safetensors").exists());
}

#[test]
fn inputs_and_outputs_that_cannot_be() {
    let folder = folder_with_model();
    refuses(folder.path(), "stages.safetensors", "cannot read input.safetensors");
    write_input(folder.path(), 32, &[0.0; 3 * 32 * 32]);
    refuses(folder.path(), "stages.safetensors", "tensor `input` has shape [1, 3, 32, 32], expected [1, 3, 64, 64]");
    let mut values = [0.0; 3 * 64 * 64];
    values[5] = f32::INFINITY;
    write_input(folder.path(), 64, &values);
    refuses(folder.path(), "stages.safetensors", "`input` holds inf at element 5");
    refuses(folder.path(), "model.safetensors/stages.safetensors", "cannot write into the output folder");
    refuses(folder.path(), ".", "cannot write .: it is a folder");
}
