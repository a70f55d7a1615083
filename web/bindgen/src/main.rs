//! What the `wasm-bindgen` command does, as part of this workspace, so that `Cargo.lock` keeps it at the version of the
//! `wasm-bindgen` that the browser build is compiled with: `pcsnet-web-bindgen MODULE.wasm FOLDER`.

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [module, folder] = arguments.as_slice() else {
        bail!("usage: pcsnet-web-bindgen MODULE.wasm FOLDER");
    };
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(module)
        .web(true)?
        // The package says itself where its wasm is, and its types are written by hand.
        .omit_default_module_path(true)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true);
    bindgen.generate(folder).with_context(|| format!("cannot make JavaScript bindings for {module}"))
}
