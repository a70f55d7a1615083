//! Full size against the PCSNet authors' own outputs, stage by stage. The reference data is not part of this project;
//! without it, and without Python and NumPy to make the matching weights, the tests say so and skip.

#[path = "support/shared.rs"]
mod shared;
mod support;

use pcsnet::weights::{Weights, read_tensor};
use pcsnet::{Engine, EngineOptions, Precision, TracedStage};
use pollster::block_on;
use safetensors::SafeTensors;
use shared::shared;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{engine, error_in_deviations};

/// Weights, input and expected stages of one descriptor kind.
struct Golden {
    weights: Weights,
    input: Vec<f32>,
    stages: Vec<u8>,
    _folder: tempfile::TempDir,
}

fn golden(kind: &str) -> Option<Golden> {
    let known = shared(&format!("golden/{kind}-seed1"))?;
    let script = shared("golden/weights.py")?;
    let folder = tempfile::tempdir().expect("a folder");
    let [model, image] = ["model.safetensors", "image.safetensors"].map(|name| folder.path().join(name));
    let prototypes = known.join("prototypes.f16.npy");
    make(&script, &["--variant", kind, "--prototypes"], &prototypes, &model)?;
    make(&script, &["--image", "a"], Path::new(""), &image)?;
    Some(Golden {
        weights: Weights::open([model]).expect("the script's file"),
        input: read_tensor(image, "input", &[1, 3, 224, 224]).expect("the script's image"),
        stages: std::fs::read(known.join("stages.safetensors")).expect("readable"),
        _folder: folder,
    })
}

fn make(script: &Path, arguments: &[&str], argument: &Path, out: &PathBuf) -> Option<()> {
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python).args(["-c", "import numpy"]).output().is_ok_and(|output| output.status.success())
    });
    let Some(python) = python else {
        eprintln!("skipped: no python3 with NumPy to make the weights");
        return None;
    };
    let mut command = Command::new(python);
    command.arg(script).args(["--seed", "1", "--out"]).arg(out).args(arguments);
    if argument != Path::new("") {
        command.arg(argument);
    }
    assert!(command.status().expect("python3 runs").success(), "{command:?}");
    Some(())
}

impl Golden {
    fn trace(&self, engine: &Engine, precision: Precision) -> Vec<TracedStage> {
        let model = block_on(engine.load(&self.weights, precision)).expect("a sound model");
        block_on(model.trace(&self.input)).expect("the network runs")
    }

    /// Pairs of ours and the authors' values; large stages are stored with every sixteenth channel.
    fn compared(&self, stage: &TracedStage) -> (Vec<f32>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.stages).expect("a sound file");
        let [_, channels, height, width] = stage.shape;
        if let Ok(whole) = file.tensor(&stage.name) {
            return (stage.values.clone(), bytemuck::pod_collect_to_vec(whole.data()));
        }
        let part = file.tensor(&format!("{}.channels_0_16_32", stage.name)).expect("every stage is stored");
        let plane = |channel: usize| &stage.values[channel * height * width..(channel + 1) * height * width];
        let ours = (0..channels).step_by(16).flat_map(plane).copied().collect();
        (ours, bytemuck::pod_collect_to_vec(part.data()))
    }
}

fn check_exact(kind: &str, engine: &Engine) {
    let Some(golden) = golden(kind) else { return };
    let stages = golden.trace(engine, Precision::F32);
    assert_eq!(stages.len(), 14);
    for stage in &stages {
        let (ours, theirs) = golden.compared(stage);
        let error = error_in_deviations(&ours, &theirs);
        eprintln!("{kind} {}: {error:.1e} standard deviations", stage.name);
        assert!(error < 1e-4, "{}: {error}", stage.name);
        if ["map", "blurred"].contains(&stage.name.as_str()) {
            let largest = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-4, "{}: {largest}", stage.name);
        }
    }
}

#[test]
fn plain() {
    check_exact("plain", engine());
}

/// An engine with the kernels a GPU gets.
fn gpu_engine() -> Engine {
    let (device, queue) = block_on(pcsnet::gpu::open_device(None)).expect("an adapter");
    let mut options = EngineOptions::default();
    options.matmul = Some(pcsnet::gpu::MatmulKernel::Tiled);
    Engine::new(device, queue, options).expect("the adapter was checked")
}

#[test]
fn plain_with_tiles_in_workgroup_memory() {
    check_exact("plain", &gpu_engine());
}

#[test]
fn rotation() {
    check_exact("rotation", engine());
}

fn check_map(kind: &str, engine: &Engine, precision: Precision) {
    let Some(golden) = golden(kind) else { return };
    for stage in &golden.trace(engine, precision) {
        let (ours, theirs) = golden.compared(stage);
        let error = error_in_deviations(&ours, &theirs);
        eprintln!("{kind} {} {}: {error:.1e} standard deviations", precision.name(), stage.name);
        assert!(error < 1e-2 || !["map", "blurred"].contains(&stage.name.as_str()), "{}: {error}", stage.name);
    }
}

#[test]
fn plain_with_f16_weights() {
    check_map("plain", engine(), Precision::F16);
}

#[test]
fn rotation_with_f16_weights() {
    check_map("rotation", engine(), Precision::F16);
}

/// Only where operands are in buffers are Winograd's patches f16, too.
#[test]
fn plain_with_f16_activations() {
    check_map("plain", &gpu_engine(), Precision::F16Activations);
}

#[test]
fn plain_with_f16_products() {
    check_map("plain", &gpu_engine(), Precision::F16Products);
}

#[test]
fn rotation_with_f16_activations() {
    check_map("rotation", &gpu_engine(), Precision::F16Activations);
}
