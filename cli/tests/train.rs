//! `pcsnet train`.

mod support;

use image::{Rgb, RgbImage};
use predicates::prelude::*;
use predicates::str::contains;
use support::*;

const SMALL: [&str; 11] =
    ["--shots", "3", "--grid", "8", "--nearest", "16", "--width", "16", "--out", "part.safetensors", "good"];

fn folder_with_parts() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for seed in 0..3 {
        let grain = picture(64, 64, seed);
        let part = RgbImage::from_fn(64, 64, |x, y| {
            let base = if x.abs_diff(32).pow(2) + y.abs_diff(32).pow(2) < 400 { 60 } else { 190 };
            Rgb(grain.get_pixel(x, y).0.map(|value| base + value / 16))
        });
        write_picture(&folder.path().join(format!("good/{seed}.png")), &part);
    }
    folder
}

#[test]
fn a_run_that_was_stopped_goes_on_and_ends_with_a_model() {
    let folder = folder_with_parts();
    let train = |epochs: &str| {
        let mut command = pcsnet(folder.path());
        command.arg("train").args(SMALL).args(["--epochs", epochs]);
        command
    };
    train("1").assert().success().stdout(contains("epoch   1  NFC ").and(contains("Trained on 3 photographs")));
    assert!(!folder.path().join("part.safetensors.checkpoint").exists());
    pcsnet(folder.path()).args(["detect", "--model", "part.safetensors", "--out", "found", "good"]).assert().success();

    std::fs::write(folder.path().join("part.safetensors.checkpoint"), b"no checkpoint").expect("room");
    train("1").assert().code(1).stderr(contains("part.safetensors.checkpoint").and(contains("--restart begins anew")));
    train("1").arg("--restart").assert().success();
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_that_goes_on_later() {
    let folder = folder_with_parts();
    // Of screws, the paper's recipe takes the rotation descriptor.
    let arguments = |epochs: &'static str| {
        let paper = ["--recipe", "paper", "--category", "screw", "--epochs", epochs];
        [&["train"], &SMALL[..], &paper].concat()
    };
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .args(arguments("5000"))
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the command");
    let checkpoint = folder.path().join("part.safetensors.checkpoint");
    let start = std::time::Instant::now();
    while !checkpoint.exists() {
        assert!(start.elapsed().as_secs() < 300, "no epoch ended");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let output = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("start it again to go on after epoch"), "{words}");
    // What was trained is still there; another number of epochs is another run.
    pcsnet(folder.path()).args(arguments("5")).assert().code(1).stderr(contains("is of a run with other"));
}

#[test]
fn what_cannot_be_trained_is_told() {
    let folder = folder_with_parts();
    let mut command = pcsnet(folder.path());
    command.args(["train", "good", "--out", "part.safetensors"]).assert().code(1).stderr(contains("there are only 3"));
    let mut command = pcsnet(folder.path());
    let sizes = ["train", "good", "--shots", "3", "--grid", "8", "--nearest", "64", "--out", "part.safetensors"];
    command
        .args(sizes)
        .assert()
        .code(1)
        .stderr(contains("give more photographs, a coarser grid, or keep fewer distances"));
}
