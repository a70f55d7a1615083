//! The browser page and the package it is made of, built into `target/web`: files for any static server.

use crate::run::{cargo, command, project_root};
use crate::wasm;
use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The most bytes of compressed wasm that visitors should have to wait for.
const LARGEST_WASM: usize = 1_500_000;

/// Builds `target/web`.
pub(crate) fn build() -> Result<()> {
    let out = folder();
    wasm::cargo_build(&["--package", "pcsnet-web", "--profile", "web"])?.run()?;
    let module = wasm::target_folder().join(wasm::TARGET).join("web/pcsnet_web.wasm").display().to_string();
    let package = out.join("pcsnet");
    let bindgen = ["run", "--package", "pcsnet-web-bindgen", "--profile", "tool", "--"];
    cargo(&[&bindgen[..], &[&module, &package.display().to_string()]].concat()).run()?;

    let root = project_root();
    copy_folder(&root.join("web/package"), &package)?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        copy(&root.join(licence), &package.join(licence))?;
    }
    copy_folder(&root.join("web/page"), &out)?;
    copy_folder(&root.join("samples/test"), &out.join("samples"))?;
    copy(&root.join("weights/default.safetensors"), &out.join("model/default.safetensors"))?;

    let (plain, compressed) = sizes(&package.join("pcsnet_web_bg.wasm"))?;
    ensure!(compressed <= LARGEST_WASM, "the wasm takes {compressed} bytes compressed, more than {LARGEST_WASM}");
    println!("The page is in {}; its wasm takes {compressed} bytes compressed ({plain} plain).", out.display());
    println!("Try it with any static server: python3 -m http.server --directory {}", out.display());
    Ok(())
}

/// Builds the page and drives it in Chromium.
pub(crate) fn test() -> Result<()> {
    build()?;
    let tests = project_root().join("web/tests");
    command("npm", &["ci", "--no-audit", "--no-fund"])
        .folder(&tests)
        .run()
        .context("the browser tests need Node.js 20 or later with npm")?;
    command("npm", &["test"]).folder(&tests).run()
}

fn folder() -> PathBuf {
    project_root().join("target/web")
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let from = entry?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() { copy_folder(&from, &to)? } else { copy(&from, &to)? }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Bytes of a file, as it is and as servers send it.
fn sizes(path: &Path) -> Result<(usize, usize)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    Ok((bytes.len(), encoder.finish()?.len()))
}
