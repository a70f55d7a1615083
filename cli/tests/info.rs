//! `pcsnet info`.

mod support;

use predicates::prelude::*;
use predicates::str::contains;
use support::*;

#[test]
fn adapters_are_described() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pcsnet(folder.path())
        .arg("info")
        .assert()
        .success()
        .stderr("")
        .stdout(contains("Adapter: ").and(contains("driver")).and(contains("storage bindings")))
        .stdout(contains("f16 ").and(contains("subgroups ")).and(contains("timestamps ")))
        .stdout(contains("can run here"));
}

#[test]
fn a_model_is_described() {
    let folder = folder_with_model();
    pcsnet(folder.path())
        .args(["info", "--model", "model.safetensors", "--batch", "2"])
        .assert()
        .success()
        .stdout(contains("bottleneck blocks, channels [16, 32, 48]"))
        .stdout(contains("plain, 96 channels"))
        .stdout(contains("64 x 64, crop"))
        .stdout(contains("bins 12, 6"))
        .stdout(contains("million: backbone"))
        .stdout(
            contains("model, f32")
                .and(contains("model, f16-activations"))
                .and(contains("activations, "))
                .and(contains("in all for a batch of 2")),
        );
}

#[test]
fn half_a_model_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut tensors = tensors();
    tensors.retain(|(tensor, _)| tensor.name.starts_with("backbone."));
    write_model(folder.path(), &tensors);
    pcsnet(folder.path())
        .args(["info", "--model", "model.safetensors"])
        .assert()
        .code(1)
        .stderr(contains("give the head's file as well"));
}

/// Only where drivers are found through these variables.
#[cfg(target_os = "linux")]
#[test]
fn a_machine_without_adapters() {
    let folder = folder_with_model();
    for arguments in [&["info"][..], &["info", "--model", "model.safetensors"]] {
        pcsnet_without_adapters(folder.path())
            .args(arguments)
            .assert()
            .success()
            .stdout(contains("apt-get install mesa-vulkan-drivers"));
    }
}

#[test]
fn help_shows_examples() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    pcsnet(folder.path()).arg("--help").assert().success().stdout(contains("Exit codes:"));
    for command in ["detect", "info", "trace"] {
        pcsnet(folder.path()).args([command, "--help"]).assert().success().stdout(contains("Examples:"));
    }
}
