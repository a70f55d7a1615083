//! The library's and the command's errors as Python exceptions, in the same words.

use pcsnet::Error;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// The exception of `pcsnet._errors` that stands for an error.
pub(crate) fn to_python(py: Python<'_>, error: &anyhow::Error) -> PyErr {
    let class = match error.chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        Some(Error::Image { .. }) => "ImageError",
        Some(
            Error::NoAdapter(_)
            | Error::Requirements { .. }
            | Error::Limit { .. }
            | Error::Batch { .. }
            | Error::OutOfMemory(_)
            | Error::DeviceLost(_)
            | Error::Gpu { .. },
        ) => "DeviceError",
        _ => "PcsnetError",
    };
    exception(py, class, pcsnet_cli::one_line(error))
}

/// The exception for arguments that the command does not understand: its words without its hint at `--help`.
pub(crate) fn of_arguments(py: Python<'_>, refusal: &clap::Error) -> PyErr {
    let text = refusal.to_string();
    let said: Vec<&str> =
        text.lines().take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more")).collect();
    let said = said.join(" ");
    exception(py, "ArgumentError", said.trim().trim_start_matches("error: ").to_owned())
}

fn exception(py: Python<'_>, class: &str, text: String) -> PyErr {
    let class = py
        .import("pcsnet._errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| Ok(class.cast_into::<PyType>()?));
    match class {
        Ok(class) => PyErr::from_type(class, text),
        // Better any exception with the words than one about the exception.
        Err(_) => PyException::new_err(text),
    }
}
