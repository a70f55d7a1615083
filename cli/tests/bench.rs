//! `pcsnet bench`.

mod support;

use predicates::prelude::*;
use std::fs;
use std::path::PathBuf;
use support::*;

#[test]
fn one_json_object() {
    let folder = folder_with_model();
    let mut command = pcsnet(folder.path());
    command.args(["bench", "--model", "model.safetensors", "--batch", "2", "--runs", "3", "--json"]);
    command.args(["--in-flight", "2", "--steps"]);
    let output = command.assert().success().get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(report["batch"], 2);
    assert_eq!(report["precision"], "f32");
    assert_eq!(report["runs_ms"].as_array().map(Vec::len), Some(3));
    let median = report["median_ms"].as_f64().expect("a time");
    let rate = report["images_per_second"].as_f64().expect("a rate");
    assert!(median > 0.0 && (rate * median / 2000.0 - 1.0).abs() < 1e-9);
    let runs = report["runs_ms"].as_array().expect("times").iter().filter_map(serde_json::Value::as_f64);
    let mean = report["mean_ms"].as_f64().expect("a time");
    assert!((runs.sum::<f64>() / 3.0 / mean - 1.0).abs() < 1e-9);
    assert_eq!(report["in_flight"]["batches"], 2);
    assert!(report["in_flight"]["images_per_second"].as_f64().is_some_and(|rate| rate > 0.0));
    let steps = report["steps"].as_array().expect("dispatches");
    assert_eq!(report["dispatches"], steps.len());
    let waiting = steps.iter().filter(|step| step["waits"] == true).count();
    assert_eq!(report["barriers"], waiting);
    // The first waits for nothing, the last for the map that it takes the maximum of.
    assert_eq!((&steps[0]["waits"], &steps[steps.len() - 1]["waits"]), (&false.into(), &true.into()));
    let of_steps = |name: &str| steps.iter().filter_map(|step| step[name].as_f64()).sum::<f64>();
    assert_eq!(report["bytes_moved"].as_f64(), Some(of_steps("bytes_moved")));
    let number = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}"));
    for name in ["load_ms", "first_ms", "gpu_median_ms", "gmacs", "peak_gmacs_per_second"] {
        assert!(number(name) > 0.0, "{name}");
    }
    let share = number("gmacs") * 1e3 / number("gpu_median_ms") / number("peak_gmacs_per_second");
    assert!((number("fraction_of_peak") / share - 1.0).abs() < 1e-9);
    assert!(report["adapter"].as_str().is_some_and(|name| !name.is_empty()));
    // The weights of the small model take more than its file's 150 kB once 3 x 3 convolutions are transformed.
    assert!(report["memory"]["weights"].as_u64().is_some_and(|bytes| bytes > 150_000));
    for part in ["activations", "scratch", "io"] {
        assert!(report["memory"][part].as_u64().is_some_and(|bytes| bytes > 0), "{part}");
    }
    let stages = report["stages"].as_object().expect("stages");
    if !stages.is_empty() {
        for stage in ["backbone", "descriptor", "prototypes", "decoder", "anomaly_map"] {
            assert!(stages[stage].as_f64().is_some_and(|time| time > 0.0), "{stage}: {stages:?}");
        }
    }
}

#[test]
fn a_table() {
    let folder = folder_with_model();
    pcsnet(folder.path())
        .args(["bench", "--model", "model.safetensors", "--runs", "2", "--precision", "f16", "--winograd", "f2x2"])
        .assert()
        .success()
        .stdout(
            predicate::str::contains("batch 1, f16, F2x2 convolutions, 2 runs")
                .and(predicate::str::contains("ms median")),
        );
}

/// What is measured once is kept in the cache folder, and a file there that cannot be read is replaced.
#[test]
fn measurements_are_kept() {
    let folder = folder_with_model();
    let bench = || {
        let mut command = pcsnet(folder.path());
        command.args(["bench", "--model", "model.safetensors", "--runs", "1"]);
        command.env_remove("PCSNET_NO_TUNING").env("PCSNET_CACHE", "cache").assert().success();
        let files = fs::read_dir(folder.path().join("cache")).expect("the folder was made");
        let files: Vec<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        (files[0].clone(), fs::read_to_string(&files[0]).expect("text"))
    };
    let (file, kept) = bench();
    assert!(kept.contains("\"layers\""), "{kept}");
    assert_eq!(bench(), (file.clone(), kept.clone()));
    fs::write(&file, "not JSON").expect("writable");
    assert!(bench().1.contains("\"layers\""));
}
