//! `pcsnet doctor`.

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use support::*;

#[test]
fn a_sound_machine() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pcsnet(folder.path())
        .arg("doctor")
        .assert()
        .success()
        .stdout(contains("Adapter: ").and(contains("can run here")))
        .stdout(contains("known answers right").and(contains("WRONG").not()))
        .stdout(contains("the default model: first result after"));
}

#[test]
fn another_model_and_a_wrong_name() {
    let folder = folder_with_model();
    pcsnet(folder.path())
        .args(["doctor", "--model", "model.safetensors"])
        .assert()
        .success()
        .stdout(contains("the model: first result after"));
    pcsnet(folder.path())
        .args(["doctor", "--adapter", "no such card"])
        .assert()
        .code(1)
        .stderr(contains("no adapter is called `no such card`"));
}

/// Only where drivers are found through these variables.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_adapters() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pcsnet_without_adapters(folder.path())
        .arg("doctor")
        .assert()
        .code(1)
        .stderr(contains("apt-get install mesa-vulkan-drivers"));
}
