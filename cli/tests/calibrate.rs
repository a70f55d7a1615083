//! `pcsnet calibrate`, run as users run it, with a small random model.

#[path = "../../tests/support/shared.rs"]
mod shared;
mod support;

use pcsnet::weights::Weights;
use predicates::prelude::*;
use shared::shared;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use support::*;

fn metadata(folder: &Path) -> BTreeMap<String, String> {
    let weights = Weights::open([folder.join("model.safetensors")]).expect("a sound model");
    weights.metadata().into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn calibration(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&metadata(folder)["pcsnet.calibration"]).expect("JSON")
}

fn write_good(folder: &Path, count: u32) {
    for seed in 0..count {
        write_picture(&folder.join(format!("good/{seed:03}.png")), &picture(64 + seed, 64, seed));
    }
}

fn calibrate(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    pcsnet(folder).args(["calibrate", "--model", "model.safetensors"]).args(arguments).assert()
}

fn scores(folder: &Path, input: &str) -> Vec<Row> {
    // Some may fail their inspection.
    let _ = pcsnet(folder).args(["detect", "--no-pictures", "--model", "model.safetensors", input]).assert();
    read_scores(&folder.join("pcsnet-out"))
}

#[test]
fn from_good_photographs() {
    let folder = folder_with_model();
    write_good(folder.path(), 19);
    let before = scores(folder.path(), "good");
    let bytes = fs::read(folder.path().join("model.safetensors")).expect("a model");
    calibrate(folder.path(), &["good", "--false-alarm-rate", "0.1", "--dry-run"])
        .success()
        .stdout(predicate::str::contains("10.00 % of good parts expected (10.00 % wanted)"))
        .stdout(predicate::str::contains("Nothing was written"));
    assert_eq!(fs::read(folder.path().join("model.safetensors")).expect("a model"), bytes);

    calibrate(folder.path(), &["good", "--false-alarm-rate", "0.1"]).success();
    // The second largest of 19 is exceeded by 2 of 20.
    let mut sorted: Vec<f32> = before.iter().filter_map(|row| row.score).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    assert_eq!(metadata(folder.path())["pcsnet.threshold"].parse(), Ok(sorted[1]));
    let found = calibration(folder.path());
    assert_eq!((&found["method"], &found["images"], &found["copies"]), (&"rank".into(), &19.into(), &1.into()));
    let after = scores(folder.path(), "good");
    assert!(before.iter().zip(&after).all(|(before, after)| before.score == after.score), "the tensors are as before");
    assert_eq!(after.iter().filter(|row| row.verdict == "fail").count(), 1);
    let names: Vec<_> =
        fs::read_dir(folder.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 3, "model, photographs, scores: {names:?}");
}

#[test]
fn from_few_photographs() {
    let folder = folder_with_model();
    write_good(folder.path(), 3);
    calibrate(folder.path(), &["good"]).success().stdout(predicate::str::contains("each shown in 11 variations"));
    let found = calibration(folder.path());
    assert_eq!((&found["method"], &found["copies"]), (&"extreme_value".into(), &11.into()));
    let threshold: f32 = metadata(folder.path())["pcsnet.threshold"].parse().expect("a number");
    assert!(scores(folder.path(), "good").iter().all(|row| row.score.expect("a score") < threshold));
    calibrate(folder.path(), &["good/000.png"]).code(1).stderr(predicate::str::contains("at least 2"));
    fs::write(folder.path().join("good/001.png"), "no picture").expect("writable");
    let left_out = predicate::str::contains("left out: good/001.png: not an image");
    calibrate(folder.path(), &["good"])
        .success()
        .stdout(predicate::str::contains("From 2 photographs"))
        .stderr(left_out);
}

#[test]
fn from_a_labelled_set() {
    let folder = folder_with_model();
    for (kind, seeds) in [("good", 0..4), ("dent", 4..7)] {
        for seed in seeds {
            write_picture(&folder.path().join(format!("set/{kind}/{seed}.png")), &picture(64, 64, seed));
        }
    }
    calibrate(folder.path(), &["--labelled", "set", "--fit", "stretch"]).success();
    assert_eq!(metadata(folder.path())["pcsnet.fit"], "stretch");
    let rows = scores(folder.path(), "set");
    // The verdicts give the F1, and no other threshold a better one.
    let f1 = |called: &dyn Fn(&Row) -> bool| {
        let dent = |row: &&Row| row.path.contains("dent");
        let called: Vec<&Row> = rows.iter().filter(|row| called(row)).collect();
        2.0 * called.iter().filter(|row| dent(row)).count() as f64 / (called.len() + 3) as f64
    };
    let found = f1(&|row| row.verdict == "fail");
    assert_eq!(calibration(folder.path())["f1"].as_f64(), Some(found));
    for limit in rows.iter().filter_map(|row| row.score) {
        assert!(f1(&|row| row.score >= Some(limit)) <= found);
    }
    calibrate(folder.path(), &["--labelled", "set/good"])
        .code(1)
        .stderr(predicate::str::contains("no anomalous samples"));
}

#[test]
fn tiles_and_heads_apart() {
    let folder = folder_with_model();
    write_good(folder.path(), 9);
    let (backbone, head) = tensors().into_iter().partition(|(tensor, _)| tensor.name.starts_with("backbone."));
    for (name, part) in [("backbone.safetensors", backbone), ("head.safetensors", head)] {
        fs::rename(write_model(folder.path(), &part), folder.path().join(name)).expect("renamed");
    }
    let bytes = fs::read(folder.path().join("backbone.safetensors")).expect("a backbone");
    pcsnet(folder.path())
        .args(["calibrate", "--model", "backbone.safetensors", "head.safetensors", "good", "--tiles", "48"])
        .assert()
        .success()
        .stdout(predicate::str::contains("In tiles of 48 x 48 pixels"))
        .stdout(predicate::str::contains("Written into head.safetensors"));
    assert_eq!(fs::read(folder.path().join("backbone.safetensors")).expect("a backbone"), bytes);
    // Detect goes by the tiles: with the tiles told, nothing changes; without any, all does.
    let detect = |options: &[&str]| {
        let arguments = ["detect", "--no-pictures", "--model", "backbone.safetensors", "head.safetensors", "good"];
        let _ = pcsnet(folder.path()).args(arguments).args(options).assert();
        read_scores(&folder.path().join("pcsnet-out"))
    };
    let default = detect(&[]);
    assert_eq!(detect(&["--tiles", "48"]), default);
    assert_ne!(detect(&["--tiles", "0"]), default);
}

/// On real photographs, split by tile: a threshold made of one half, tried on the other.
#[test]
fn a_promise_is_kept_on_other_photographs() {
    let Some(tiles) = shared("data/magnetic_tile/train/good") else { return };
    let folder = folder_with_model();
    // `exp3_num_2642.jpg` is the third exposure of a tile; a tile's numbers lie close together.
    let number =
        |name: &str| -> u32 { name.split(['_', '.']).nth(2).and_then(|text| text.parse().ok()).expect("a number") };
    let names = fs::read_dir(&tiles).expect("a folder").flatten().map(|entry| entry.file_name().into_string());
    let mut names: Vec<String> = names.collect::<Result<_, _>>().expect("ASCII names");
    names.sort_by_key(|name| number(name));
    let same_tile = |a: &String, b: &String| number(b) - number(a) < 300;
    for (tile, names) in names.chunk_by(same_tile).enumerate() {
        let half = folder.path().join(["good", "others"][tile % 2]);
        fs::create_dir_all(&half).expect("writable");
        for name in names {
            fs::copy(tiles.join(name), half.join(name)).expect("copied");
        }
    }
    for rate in ["0.05", "0.1"] {
        calibrate(folder.path(), &["good", "--fit", "stretch", "--false-alarm-rate", rate]).success();
        let interval = &calibration(folder.path())["interval"];
        let [low, high] = [0, 1].map(|end| interval[end].as_f64().expect("a share"));
        let rows = scores(folder.path(), "others");
        let alarms = rows.iter().filter(|row| row.verdict == "fail").count() as f64 / rows.len() as f64;
        println!("rate {rate}: {alarms:.4} of {} fail, {low:.4} to {high:.4} stated", rows.len());
        assert!((low..=high).contains(&alarms), "rate {rate}: {alarms} of the others fail, {low} to {high} was stated");
    }
}

#[test]
fn photographs_of_the_training_are_left_out() {
    let folder = folder_with_model();
    write_good(folder.path(), 6);
    let named = |text: &str| {
        write_model_with(folder.path(), &tensors(), &[("pcsnet.training", text), ("pcsnet.threshold_rule", "a guess")]);
    };
    named(r#"{"images":["000.png","003.png"]}"#);
    calibrate(folder.path(), &["good"])
        .success()
        .stderr(predicate::str::contains("2 of 6 photographs have names of those the model was made from"))
        .stderr(predicate::str::contains("000.png, "));
    assert_eq!(calibration(folder.path())["images"], 4);
    assert!(!metadata(folder.path()).contains_key("pcsnet.threshold_rule"), "it is no longer true");
    named(r#"{"images":["000.png","001.png","002.png","003.png","004.png"]}"#);
    calibrate(folder.path(), &["good"]).code(1).stderr(predicate::str::contains("give at least 2 others"));

    // Where the model knows its photographs by content, names do not matter.
    let hash = {
        use sha2::Digest;
        let bytes = fs::read(folder.path().join("good/001.png")).expect("a photograph");
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    fs::rename(folder.path().join("good/001.png"), folder.path().join("good/other.png")).expect("renamed");
    named(&format!(r#"{{"images":["000.png","001.png"],"sha256":["{hash}","{hash}"]}}"#));
    calibrate(folder.path(), &["good"])
        .success()
        .stderr(predicate::str::contains("1 of 6 photographs are among those the model was made from"))
        .stderr(predicate::str::contains("other.png"));
    assert_eq!(calibration(folder.path())["images"], 5);
}

/// One damaged photograph does not cost the work on all others.
#[test]
fn photographs_that_are_not_whole_are_left_out() {
    let folder = folder_with_model();
    write_good(folder.path(), 6);
    let damage = |name: &str, keep: fn(usize) -> usize| {
        let path = folder.path().join("good").join(name);
        let bytes = fs::read(&path).expect("a photograph");
        fs::write(&path, &bytes[..keep(bytes.len())]).expect("writable");
    };
    damage("001.png", |length| length / 2);
    damage("004.png", |_| 20);
    calibrate(folder.path(), &["good"])
        .success()
        .stderr(
            predicate::str::is_match("left out: .*001.png: rows [0-9]+ to [0-9]+ of [0-9]+ are missing")
                .expect("sound"),
        )
        .stderr(predicate::str::is_match("left out: .*004.png").expect("sound"));
    assert_eq!(calibration(folder.path())["images"], 4);
}

#[test]
fn copies_count_once_and_a_threshold_holds_for_its_framing() {
    let folder = folder_with_model();
    write_good(folder.path(), 4);
    for seed in 0..4 {
        for copy in ["a", "b"] {
            let from = folder.path().join(format!("good/{seed:03}.png"));
            fs::copy(from, folder.path().join(format!("good/{seed:03}{copy}.png"))).expect("copied");
        }
    }
    calibrate(folder.path(), &["good"]).success().stdout(predicate::str::contains("8 of 12 photographs are copies"));
    assert_eq!(calibration(folder.path())["images"], 4);
    let detect = |options: &[&str]| {
        let arguments = ["detect", "--no-pictures", "--model", "model.safetensors", "good/000.png"];
        let assert = pcsnet(folder.path()).args(arguments).args(options).assert();
        let words = String::from_utf8(assert.get_output().stderr.clone()).expect("UTF-8");
        (read_scores(&folder.path().join("pcsnet-out")).remove(0).verdict, words)
    };
    assert_eq!(detect(&[]).0, "pass");
    for options in [&["--tiles", "32"], &["--fit", "stretch"]] {
        let (verdict, words) = detect(options);
        assert_eq!(verdict, "");
        assert!(words.contains("holds for none") && words.contains("no verdicts"), "{words}");
    }
}
