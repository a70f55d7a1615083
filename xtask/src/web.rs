//! The browser page, built into `target/web`: files for any static server. It runs on the npm package in
//! `target/web/pcsnet`.

use crate::files::{copy_folder, read, write};
use crate::package;
use crate::run::{command, project_root};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// The most bytes of compressed wasm that visitors should have to wait for.
const LARGEST_WASM: usize = 1_500_000;

/// Builds the page and the package.
pub(crate) fn build() -> Result<()> {
    let (root, out) = (project_root(), folder());
    if out.exists() {
        std::fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    copy_folder(&root.join("web/page"), &out)?;
    copy_folder(&root.join("samples/test"), &out.join("samples"))?;
    package::build(&out.join("pcsnet"))?;
    write(&out.join("files.js"), &format!("self.FILES = {};\n", serde_json::to_string_pretty(&offline_files(&out)?)?))?;

    let wasm = read(&out.join("pcsnet").join(package::WASM))?;
    let (plain, compressed) = (wasm.len(), package::gzip(&wasm)?.len());
    ensure!(compressed <= LARGEST_WASM, "the wasm takes {compressed} bytes compressed, more than {LARGEST_WASM}");
    println!("The page is in {}; its wasm takes {compressed} bytes compressed ({plain} plain).", out.display());
    println!("Try it with any static server: python3 -m http.server --directory {}", out.display());
    Ok(())
}

/// Builds the page and drives it in Chromium.
pub(crate) fn test() -> Result<()> {
    build()?;
    npm("web/tests", &["ci"])?;
    npm("web/tests", &["test"])
}

/// Builds programs on the package with every bundler, and runs them in Chromium.
pub(crate) fn test_bundlers() -> Result<()> {
    build()?;
    npm("web/tests", &["ci"])?;
    npm("web/bundlers", &["ci"])?;
    npm("web/bundlers", &["test"])
}

fn npm(folder: &str, arguments: &[&str]) -> Result<()> {
    let quiet = ["--no-audit", "--no-fund"];
    command("npm", &[arguments, &quiet].concat())
        .folder(&project_root().join(folder))
        .run()
        .context("this needs Node.js 20.19 or later with npm")
}

fn folder() -> PathBuf {
    project_root().join("target/web")
}

/// The files without which the page does not open, for the service worker to keep. Pictures and models are kept as they
/// are used.
fn offline_files(out: &Path) -> Result<Vec<String>> {
    const OF_PACKAGE: [&str; 5] = ["core.js", "remote.js", "answer.js", package::BINDINGS, package::WASM];
    let mut files: Vec<String> = OF_PACKAGE.map(|name| format!("pcsnet/{name}")).into();
    for folder in ["", "view", "samples"] {
        for entry in std::fs::read_dir(out.join(folder))? {
            let path = entry?.path();
            if path.is_file() && path.file_name().is_none_or(|name| name != "service-worker.js") {
                files.push(path.strip_prefix(out)?.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    Ok(files)
}
