//! What the command's subcommands do, with their arguments.

use crate::errors;
use crate::work::supervise;
use pcsnet::inspect::{Calibrated, Calibration};
use pcsnet::teach::TeachSummary;
use pcsnet_cli::{calibrate as calibration, evaluate as evaluation, teach as teaching};
use pyo3::prelude::*;
use serde_json::{Value, json};

/// Does what `pcsnet teach` does; what was decided comes as JSON.
#[pyfunction]
#[pyo3(signature = (arguments, on_progress=None))]
pub(crate) fn teach(py: Python<'_>, arguments: Vec<String>, on_progress: Option<Py<PyAny>>) -> PyResult<String> {
    let arguments: teaching::Arguments = parse(py, &arguments)?;
    supervise(py, on_progress.as_ref(), |monitor| {
        Ok(taught(teaching::teach(&arguments, monitor)?.summary()).to_string())
    })
}

/// Does what `pcsnet calibrate` does; what was found comes as JSON.
#[pyfunction]
#[pyo3(signature = (arguments, on_progress=None))]
pub(crate) fn calibrate(py: Python<'_>, arguments: Vec<String>, on_progress: Option<Py<PyAny>>) -> PyResult<String> {
    let arguments: calibration::Arguments = parse(py, &arguments)?;
    supervise(py, on_progress.as_ref(), |monitor| {
        Ok(calibrated(&calibration::calibrate(&arguments, monitor)?).to_string())
    })
}

/// Does what `pcsnet evaluate` does; all figures come as JSON.
#[pyfunction]
#[pyo3(signature = (arguments, on_progress=None))]
pub(crate) fn evaluate(py: Python<'_>, arguments: Vec<String>, on_progress: Option<Py<PyAny>>) -> PyResult<String> {
    let arguments: evaluation::Arguments = parse(py, &arguments)?;
    supervise(py, on_progress.as_ref(), |monitor| evaluation::json(&evaluation::evaluate(&arguments, monitor)?))
}

/// The photographs among files and in folders.
#[pyfunction]
pub(crate) fn images(py: Python<'_>, arguments: Vec<std::path::PathBuf>) -> PyResult<Vec<String>> {
    let found = py.detach(|| pcsnet_cli::images::paths(&arguments));
    let found = found.map_err(|error| errors::to_python(py, &error))?;
    Ok(found.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

/// Runs the command itself, and gives its exit code.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
    py.detach(|| pcsnet_cli::run(arguments))
}

/// Reads arguments as the command does.
pub(crate) fn parse<A: clap::Args>(py: Python<'_>, arguments: &[String]) -> PyResult<A> {
    pcsnet_cli::parse(arguments).map_err(|refusal| errors::of_arguments(py, &refusal))
}

fn taught(summary: &TeachSummary) -> Value {
    let Calibration { threshold, scale, .. } = summary.calibrated.calibration;
    let held_out = summary.held_out.iter().map(|part| json!({ "name": part.name, "score": part.score }));
    json!({
        "photographs": summary.photographs,
        "copies": summary.copies,
        "any_pose": summary.poses.any,
        "flips": summary.poses.flips,
        "prototypes": summary.prototypes,
        "threshold": threshold,
        "scale": scale.map(|scale| [scale.low, scale.high]),
        "pseudo_defects": { "tried": summary.pseudo_defects.tried, "found": summary.pseudo_defects.found },
        "held_out": held_out.collect::<Vec<_>>(),
        "warnings": summary.warnings(),
    })
}

fn calibrated(outcome: &calibration::Outcome) -> Value {
    let calibration::Outcome { calibrated, photographs, written } = outcome;
    let Calibrated { calibration: Calibration { threshold, scale, tiles, .. }, outliers, repeated, .. } = calibrated;
    let record = calibrated.to_metadata().remove("pcsnet.calibration").flatten();
    let path = |index: &usize| photographs[*index].display().to_string();
    json!({
        "threshold": threshold,
        "scale": scale.map(|scale| [scale.low, scale.high]),
        "tiles": tiles,
        // As text: what reads it keeps every digit.
        "found": record,
        "outliers": outliers.iter().map(path).collect::<Vec<_>>(),
        "repeated": repeated.iter().map(|(copy, original)| [path(copy), path(original)]).collect::<Vec<_>>(),
        "written": written,
    })
}
