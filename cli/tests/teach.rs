//! `pcsnet teach`, run as users run it, with the built-in backbone.

mod support;

use predicates::prelude::*;
use std::fs;
use std::path::Path;
use support::*;

fn teach(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    pcsnet(folder).args(["teach", "--small", "--poses", "fixed"]).args(arguments).assert()
}

#[test]
fn a_folder_of_photographs_becomes_a_model_that_detect_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in 0..5 {
        write_picture(&folder.path().join(format!("good/{seed}.png")), &picture(64, 64, seed));
    }
    fs::copy(folder.path().join("good/0.png"), folder.path().join("good/copy.png")).expect("room");
    fs::write(folder.path().join("good/notes.txt"), "not a photograph").expect("room");
    fs::write(folder.path().join("good/broken.png"), b"\x89PNG\r\n\x1a\nnothing").expect("room");
    // A photograph that cannot be read ends it before anything is written, and is named.
    teach(folder.path(), &["good", "--out", "part.safetensors"])
        .failure()
        .stderr(predicate::str::contains("broken.png"));
    assert!(!folder.path().join("part.safetensors").exists());

    fs::remove_file(folder.path().join("good/broken.png")).expect("it is there");
    teach(folder.path(), &["good", "--out", "part.safetensors"])
        .success()
        .stdout(predicate::str::contains("Taught from 5 photographs"))
        .stdout(predicate::str::contains("copies of other photographs count once: copy.png"))
        .stdout(predicate::str::contains("5.0 % of good parts are expected to fail"));
    // A photograph is added without the first ones, and one that was taught adds nothing.
    fs::create_dir(folder.path().join("more")).expect("room");
    write_picture(&folder.path().join("more/5.png"), &picture(64, 64, 5));
    let before = fs::read(folder.path().join("part.safetensors")).expect("a model");
    let more = |photograph: &str| {
        let model = ["--model", "part.safetensors"];
        pcsnet(folder.path()).args(["teach", "--more", photograph]).args(model).assert()
    };
    more("good/copy.png").failure().stderr(predicate::str::contains("1 that the model was made of already"));
    assert!(fs::read(folder.path().join("part.safetensors")).expect("a model") == before);
    more("more/5.png").success().stdout(predicate::str::contains("Taught from 6 photographs, 1 of them new"));
    pcsnet(folder.path())
        .args(["teach", "--more", "more/5.png", "--model"])
        .arg(write_model(folder.path(), &tensors()))
        .assert()
        .failure()
        .stderr(predicate::str::contains("teach it anew"));
    // One that was taught is as near as can be.
    pcsnet(folder.path())
        .args(["detect", "--model", "part.safetensors", "--no-pictures", "good/0.png"])
        .assert()
        .success();
    let rows = read_scores(&folder.path().join("pcsnet-out"));
    assert!(rows.len() == 1 && rows[0].score.is_some_and(f32::is_finite), "{rows:?}");
}

#[test]
fn what_cannot_be_taught_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    write_picture(&folder.path().join("good/0.png"), &picture(64, 64, 0));
    teach(folder.path(), &["good", "--shots", "2", "--out", "part.safetensors"])
        .failure()
        .stderr(predicate::str::contains("2 photographs were asked for, but there are only 1 of good parts"));
    fs::create_dir(folder.path().join("empty")).expect("room");
    teach(folder.path(), &["empty", "--out", "part.safetensors"]).failure();
    teach(folder.path(), &["good", "--out", "good"]).failure().stderr(predicate::str::contains("it is a folder"));
    teach(folder.path(), &["good", "--out", "good/0.png/part.safetensors"])
        .failure()
        .stderr(predicate::str::contains("cannot write into the output folder good/0.png"));
    assert!(!folder.path().join("part.safetensors").exists());
}

/// Good parts, and a model that must not be lost.
#[cfg(unix)]
fn with_a_former_model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for seed in 0..2 {
        write_picture(&folder.path().join(format!("good/{seed}.png")), &picture(64, 64, seed));
    }
    fs::write(folder.path().join("part.safetensors"), "a former model").expect("room");
    folder
}

/// The former model is as it was, and nothing lies beside it.
#[cfg(unix)]
fn assert_untouched(folder: &Path) {
    assert_eq!(fs::read(folder.join("part.safetensors")).expect("the former model"), b"a former model");
    let mut names: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").file_name()).collect();
    names.sort();
    assert_eq!(names, ["good", "part.safetensors"]);
}

/// Files of at most 512 kB can be written, which a model is larger than.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_former_model() {
    let folder = with_a_former_model();
    let limited = r#"trap "" XFSZ; ulimit -f 1000; exec "$0" "$@""#;
    assert_cmd::Command::new("sh")
        .current_dir(folder.path())
        .args(["-c", limited])
        .arg(assert_cmd::cargo::cargo_bin("pcsnet"))
        .args(["teach", "--small", "--poses", "fixed", "good", "--out", "part.safetensors"])
        .env("XDG_RUNTIME_DIR", std::env::temp_dir())
        .assert()
        .failure()
        .stderr(predicate::str::contains("part.safetensors"));
    assert_untouched(folder.path());
}

/// Killed while it looks at the output's folder, describes photographs, or does not run yet.
#[cfg(unix)]
#[test]
fn a_killed_teacher_leaves_the_former_model() {
    let folder = with_a_former_model();
    for delay in [50, 400, 1500] {
        let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
            .current_dir(folder.path())
            .args(["teach", "--poses", "any", "good", "--out", "part.safetensors"])
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("the command is built with its tests");
        std::thread::sleep(std::time::Duration::from_millis(delay));
        child.kill().expect("it is still teaching");
        assert!(!child.wait().expect("it is gone").success());
        assert_untouched(folder.path());
    }
}

/// The folder appears once Ctrl-C is listened for, and long before the model is made.
#[cfg(unix)]
#[test]
fn ctrl_c_ends_teaching_with_words_and_without_a_file() {
    let folder = with_a_former_model();
    let child = std::process::Command::new(assert_cmd::cargo::cargo_bin("pcsnet"))
        .current_dir(folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .args(["teach", "--poses", "any", "good", "--out", "taught/part.safetensors"])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the command");
    let start = std::time::Instant::now();
    while !folder.path().join("taught").exists() {
        assert!(start.elapsed().as_secs() < 300, "it did not look at the output's folder");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.expect("kill").success());
    let output = child.wait_with_output().expect("it ends");
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && words.contains("stopped before it was done"), "{words}");
    assert_eq!(fs::read_dir(folder.path().join("taught")).expect("a folder").count(), 0);
}
