//! The native part of the Python package `pcsnet`: what the command does, for Python. What Python programs see, and its
//! documentation, is in `python/pcsnet`.

#![warn(unreachable_pub)]

mod detector;
mod errors;
mod tasks;
mod work;

use pyo3::prelude::*;

/// The module `pcsnet._native`.
#[pymodule]
#[pyo3(name = "_native")]
fn native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("IMAGE_EXTENSIONS", pcsnet::data::IMAGE_EXTENSIONS)?;
    module.add_class::<detector::Detector>()?;
    module.add_class::<detector::Found>()?;
    module.add_function(wrap_pyfunction!(tasks::images, module)?)?;
    module.add_function(wrap_pyfunction!(tasks::teach, module)?)?;
    module.add_function(wrap_pyfunction!(tasks::calibrate, module)?)?;
    module.add_function(wrap_pyfunction!(tasks::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(tasks::command, module)?)
}
