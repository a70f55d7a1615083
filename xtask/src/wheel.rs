//! The Python package: built as a wheel, looked over, installed in a fresh environment, and tested there.

use crate::run::{cargo, cargo_test, command, project_root};
use crate::{machine, notices};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the package's optional parts and its tests need.
const FOR_TESTS: [&str; 8] = ["ipykernel", "moto[server]", "mypy", "nbclient", "pillow", "pytest", "ray[data]", "tqdm"];

/// What a Python program does first.
const THREE_LINES: &str = "\
import pcsnet
detection = pcsnet.Detector('weights/default.safetensors').detect('samples/test/scratch/000.png')
print(detection.verdict, detection.score)
";

/// Builds the wheel into `target/wheels`, and tests it as its users find it.
pub(crate) fn run() -> Result<()> {
    machine::ensure_vulkan_driver()?;
    let folder = project_root().join("target/wheel");
    let wheel = build(&environment(&folder.join("tools"))?)?;
    eprintln!("{}: {:.1} MB", wheel.display(), wheel.metadata()?.len() as f64 / 1e6);
    let python = environment(&folder.join("fresh"))?;
    pip(&python, &[wheel.to_str().context("a path that is no text")?])?;
    command(&python, &["-c", THREE_LINES]).run()?;
    pip(&python, &FOR_TESTS)?;
    // From another folder, so that what is looked at is the installed package.
    command(&python, &["-m", "mypy", "--strict", "--package", "pcsnet"]).folder(&folder).run()?;
    cargo(&["build", "--release", "--locked", "--package", "pcsnet-cli"]).run()?;
    let pcsnet = project_root().join("target/release/pcsnet").display().to_string();
    cargo_test(&["--test", "python"]).env("PCSNET_TEST_PYTHON", &python).env("PCSNET_TEST_COMMAND", &pcsnet).run()
}

/// Writes the licences and notices that the wheel brings along to where maturin looks for them.
pub(crate) fn write_licences() -> Result<()> {
    let output = Command::new("rustc").args(["--print", "host-tuple"]).output().context("rustc does not start")?;
    let host = String::from_utf8(output.stdout)?;
    notices::write_all("pcsnet-python", host.trim(), "pcsnet", &project_root().join("wheel/licences"))
}

/// Builds the wheel, with the tools in a Python's environment, and has it looked over as a package index would.
fn build(tools: &str) -> Result<PathBuf> {
    write_licences()?;
    pip(tools, &["maturin>=1.9,<2", "twine"])?;
    let wheels = project_root().join("target/wheels");
    // Of several wheels none would be the one just built.
    fs::remove_dir_all(&wheels).ok();
    command(tools, &["-m", "maturin", "build", "--release", "--locked", "--manifest-path", "wheel/Cargo.toml"])
        .run()?;
    let wheel = only_file(&wheels)?;
    command(tools, &["-m", "twine", "check", "--strict", &wheel.display().to_string()]).run()?;
    Ok(wheel)
}

/// Makes a virtual environment anew, and gives its Python.
fn environment(folder: &Path) -> Result<String> {
    let folder = folder.to_str().context("a path that is no text")?;
    command("python3", &["-m", "venv", "--clear", folder]).run()?;
    let python = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    Ok(format!("{folder}/{python}"))
}

fn pip(python: &str, packages: &[&str]) -> Result<()> {
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    command(python, &[&install[..], packages].concat()).run()
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("no wheel in {}", folder.display()))?;
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    ensure!(files.len() == 1, "one wheel is expected in {}, there are {}", folder.display(), files.len());
    Ok(files.remove(0))
}
