//! Which kernels are the fastest on a device: measured when a model first runs there, kept in the user's cache folder.

use crate::output;
use anyhow::Result;
use pcsnet::gpu::Tuning;
use pcsnet::{Engine, Model, wgpu};
use pollster::block_on;
use std::fs;
use std::path::PathBuf;

/// What was measured on a device before, if anything was.
pub(crate) fn stored(device: &wgpu::Device) -> Option<Tuning> {
    let text = fs::read_to_string(file(&Tuning::new(device))?).ok()?;
    // A file that does not hold it, for whatever reason, is replaced at the next measurement.
    Tuning::from_json(&text).ok()
}

/// Measures what was not measured before of a model at a batch. `true` when the model is to be loaded again.
///
/// Whatever prevents it costs time but no results, so it is told and passed over.
pub(crate) fn measure(engine: &Engine, model: &Model, batch: u32) -> bool {
    let before = engine.tuning().layers();
    let template = "{msg} {bar:40} {pos}/{len} layers, {eta} left";
    let progress = output::progress_bar(template, 0, "finding the fastest kernels on this device".to_owned());
    let outcome = block_on(engine.tune(model, batch, |at| {
        progress.set_length(at.total as u64);
        progress.set_position(at.done as u64);
    }));
    progress.finish_and_clear();
    let tuning = engine.tuning();
    let kept = if tuning.layers() > before { store(&tuning) } else { Ok(()) };
    if let Err(error) = kept {
        output::complain(&format!(
            "warning: what was measured on this device is not kept: {}",
            crate::one_line(&error)
        ));
    }
    outcome.unwrap_or_else(|error| {
        output::complain(&format!("warning: kernels are chosen without measuring: {}", crate::one_line(&error.into())));
        false
    })
}

fn store(tuning: &Tuning) -> Result<()> {
    let Some(file) = file(tuning) else { return Ok(()) };
    output::write(&file, |target| Ok(target.write_all(tuning.to_json().as_bytes())?))
}

/// The file for tunings: in the folder that `PCSNET_CACHE` names, or else in the user's for caches.
fn file(tuning: &Tuning) -> Option<PathBuf> {
    let folder = match std::env::var_os("PCSNET_CACHE") {
        Some(folder) => Some(folder.into()),
        None => dirs::cache_dir().map(|folder| folder.join("pcsnet")),
    };
    folder.map(|folder: PathBuf| folder.join(format!("tuning-{}.json", tuning.id())))
}
