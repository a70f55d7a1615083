//! `pcsnet reproduce`, run as users run it, with the built-in backbone.

mod support;

use image::{GrayImage, Rgb};
use predicates::prelude::*;
use serde_json::Value;
use std::fs;
use std::path::Path;
use support::*;

/// A test set in MVTec AD's layout: five good parts to draw from, and two good and two spotted ones to measure with.
fn write_set(folder: &Path) {
    for seed in 0..7 {
        let part = if seed < 5 { "train/good" } else { "test/good" };
        write_picture(&folder.join(format!("{part}/{seed}.png")), &picture(64, 64, seed));
    }
    for seed in 7..9 {
        let mut spotted = picture(64, 64, seed);
        let mut mask = GrayImage::new(64, 64);
        for (x, y) in (20..34).flat_map(|y| (30..44).map(move |x| (x, y))) {
            spotted.put_pixel(x, y, Rgb([255, 0, 0]));
            mask.put_pixel(x, y, image::Luma([255]));
        }
        write_picture(&folder.join(format!("test/spot/{seed}.png")), &spotted);
        let path = folder.join(format!("ground_truth/spot/{seed}_mask.png"));
        fs::create_dir_all(path.parent().expect("a folder")).expect("room");
        mask.save(path).expect("room");
    }
}

fn reproduce(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let common = ["reproduce", "set", "--small", "--poses", "fixed", "--out", "out"];
    pcsnet(folder).args(common).args(arguments).assert()
}

fn runs(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("out/runs.jsonl")).expect("runs");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn models_are_made_and_measured_as_teach_and_evaluate_do_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write_set(&folder.path().join("set"));
    reproduce(folder.path(), &["--method", "teach,means", "--shots", "2", "--seeds", "0"])
        .success()
        .stdout(predicate::str::contains("| set | 2 | teach | 1 |"))
        .stdout(predicate::str::contains("| set | 2 | means | 1 |"));
    let done = runs(folder.path());
    assert_eq!(done.len(), 2);
    assert_eq!((&done[0]["good"], &done[0]["defective"]), (&2.into(), &2.into()));
    assert!(done[0]["good_that_fail"].is_u64() && done[1]["good_that_fail"].is_null(), "{done:?}");

    let teach = ["teach", "set", "--small", "--poses", "fixed", "--shots", "2", "--out", "taught.safetensors"];
    pcsnet(folder.path()).args(teach).assert().success();
    let model = folder.path().join("out/models/built-in backbone, small, poses fixed/set-teach-2-0.safetensors");
    assert!(fs::read(&model).expect("a model") == fs::read(folder.path().join("taught.safetensors")).expect("a model"));
    let evaluate = ["evaluate", "set", "--no-report", "--out", "measured", "--model", "taught.safetensors"];
    pcsnet(folder.path()).args(evaluate).assert().success();
    let measured = fs::read(folder.path().join("measured/metrics.json")).expect("figures");
    let measured: Value = serde_json::from_slice(&measured).expect("JSON");
    assert_eq!(done[0]["metrics"], measured["categories"][0]["models"][0]["rows"][0]["metrics"]);

    // What is done is not done again, a line that was cut short is.
    let path = folder.path().join("out/runs.jsonl");
    let text = fs::read_to_string(&path).expect("runs");
    fs::write(&path, &text[..text.len() - 9]).expect("room");
    fs::remove_file(&model).expect("a model");
    reproduce(folder.path(), &["--method", "teach,means", "--shots", "2", "--seeds", "0"]).success();
    assert!(!model.exists() && runs(folder.path()) == done);
}

#[test]
fn a_set_that_fails_does_not_end_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write_set(&folder.path().join("set/first"));
    write_set(&folder.path().join("set/second"));
    fs::write(folder.path().join("set/first/train/good/0.png"), "no picture").expect("room");
    reproduce(folder.path(), &["--method", "means", "--shots", "5", "--seeds", "0"])
        .code(3)
        .stderr(predicate::str::contains("failed: first, means, 5 shots, seed 0"))
        .stdout(predicate::str::contains("| first | 5 | means | 0 | - |"))
        .stdout(predicate::str::contains("| second | 5 | means | 1 |"));
    reproduce(folder.path(), &["--category", "third"]).failure().stderr(predicate::str::contains("third"));
}
