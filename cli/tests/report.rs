//! `pcsnet report`.

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use std::fs;
use support::*;

/// Four precisions at six batches, in files and on the screen.
#[test]
fn everything_about_an_adapter() {
    let folder = folder_with_model();
    pcsnet(folder.path())
        .args(["report", "--model", "model.safetensors", "--seconds", "0.01", "--out", "out"])
        .assert()
        .success()
        .stdout(contains("known answers of kernels right").and(contains("| model | f16 | 32 |")))
        .stderr(contains("measuring model, f16-activations, batch 32"));
    let read = |name: &str| fs::read_to_string(folder.path().join("out").join(name)).expect("a report");
    assert!(read("report.md").contains("| model | f32 | 1 |"));
    let report: serde_json::Value = serde_json::from_str(&read("report.json")).expect("JSON");
    assert_eq!(report["self_test"]["wrong"], serde_json::json!([]));
    assert_eq!(report["left_out"], serde_json::json!([]));
    let measurements = report["measurements"].as_array().expect("measurements");
    let what = |found: &serde_json::Value| (found["precision"].clone(), found["batch"].clone());
    let expected = ["f32", "f16", "f16-activations", "f16-products"]
        .into_iter()
        .flat_map(|precision| [1, 2, 4, 8, 16, 32].map(|batch| (precision.into(), batch.into())));
    assert!(measurements.iter().map(what).eq(expected));
    for found in measurements {
        for name in ["median_ms", "mean_ms", "gpu_median_ms", "images_per_second", "dispatches"] {
            assert!(found[name].as_f64().is_some_and(|value| value > 0.0), "{name}: {found}");
        }
        assert_eq!(found["in_flight"].is_object(), found["batch"] == 1, "{found}");
    }
}

/// A folder that cannot be made is said before anything is measured.
#[test]
fn a_file_in_the_way() {
    let folder = folder_with_model();
    pcsnet(folder.path())
        .args(["report", "--model", "model.safetensors", "--out", "model.safetensors"])
        .assert()
        .code(1)
        .stderr(contains("model.safetensors"));
}
