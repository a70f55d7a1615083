//! The npm package: the wasm and its bindings, the JavaScript around them, the default model, and all their notices.

use crate::files::{copy, copy_folder, read, write};
use crate::run::{cargo, project_root};
use crate::{manifest, notices, wasm};
use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

/// The package's wasm.
pub(crate) const WASM: &str = "pcsnet.wasm";
/// The JavaScript that wasm-bindgen makes for it.
pub(crate) const BINDINGS: &str = "pcsnet_web.js";
const MODEL: &str = "default.safetensors";

/// Builds the package into a folder.
pub(crate) fn build(out: &Path) -> Result<()> {
    let root = project_root();
    bind(out)?;
    copy_folder(&root.join("web/package"), out)?;
    manifest::complete(out)?;
    copy(&root.join("weights").join(MODEL), &out.join(MODEL))?;
    // Files beside a module are found by some bundlers and lost by others; a module is found by all.
    as_module(&gzip(&read(&out.join(WASM))?)?, "application/gzip", &out.join("wasm.js"))?;
    as_module(&read(&out.join(MODEL))?, "application/octet-stream", &out.join("default-model.js"))?;

    notices::write_all("pcsnet-web", wasm::TARGET, WASM, out)
}

/// Compiles the wasm and makes its bindings.
fn bind(out: &Path) -> Result<()> {
    wasm::cargo_build(&["--package", "pcsnet-web", "--profile", "web"])?.run()?;
    let module = wasm::target_folder().join(wasm::TARGET).join("web/pcsnet_web.wasm").display().to_string();
    let bindgen = ["run", "--package", "pcsnet-web-bindgen", "--profile", "tool", "--"];
    cargo(&[&bindgen[..], &[&module, &out.display().to_string()]].concat()).run()?;
    let bound = out.join("pcsnet_web_bg.wasm");
    std::fs::rename(&bound, out.join(WASM)).with_context(|| format!("cannot rename {}", bound.display()))
}

/// Writes a JavaScript module whose default export is a URL with this content.
fn as_module(content: &[u8], kind: &str, module: &Path) -> Result<()> {
    write(module, &format!("export default 'data:{kind};base64,{}';\n", BASE64_STANDARD.encode(content)))
}

pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
