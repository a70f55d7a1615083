//! Work that leaves Python to its other threads, tells how far it is, and ends with Ctrl-C.

use crate::errors;
use anyhow::{Result, anyhow};
use pcsnet_cli::device;
use pcsnet_cli::monitor::{Monitor, Progress};
use pcsnet_cli::output;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a Ctrl-C may go unnoticed.
const PATIENCE: Duration = Duration::from_millis(50);

/// Does a piece of work on a thread of its own, without Python's lock. Meanwhile this thread hands progress to
/// `on_progress` as `(step, done, total)`, and minds signals; an exception from either ends the work early and is
/// raised when it has ended.
pub(crate) fn supervise<T: Send>(
    py: Python<'_>,
    on_progress: Option<&Py<PyAny>>,
    work: impl FnOnce(Monitor<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    output::listen(log);
    let stop = AtomicBool::new(false);
    let outcome = py.detach(|| {
        thread::scope(|scope| {
            let (sender, receiver) = channel();
            let stop = &stop;
            let worker = scope.spawn(move || {
                // Nobody listens any more where an exception was raised.
                work(Monitor { on_progress: &|progress| drop(sender.send(progress)), stop })
            });
            let mut raised = None;
            loop {
                let progress = match receiver.recv_timeout(PATIENCE) {
                    Ok(progress) => Some(progress),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                if raised.is_none() {
                    raised = Python::attach(|py| mind(py, on_progress, progress)).err();
                    stop.fetch_or(raised.is_some(), Ordering::Relaxed);
                }
            }
            let done = worker
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a fault of pcsnet's own ended the work; please report it")));
            match raised {
                Some(exception) => Err(Ok(exception)),
                None => done.map_err(Err),
            }
        })
    });
    let done = outcome.map_err(|error| error.unwrap_or_else(|error| errors::to_python(py, &error)))?;
    match device::failure() {
        Some(failure) => Err(errors::to_python(py, &anyhow!("{failure}; start the program anew"))),
        None => Ok(done),
    }
}

fn mind(py: Python<'_>, on_progress: Option<&Py<PyAny>>, progress: Option<Progress>) -> PyResult<()> {
    py.check_signals()?;
    if let (Some(on_progress), Some(Progress { step, done, total })) = (on_progress, progress) {
        on_progress.call1(py, (step, done, total))?;
    }
    Ok(())
}

/// Hands a line that the command would print on stderr to the logger `pcsnet`.
fn log(line: &str) {
    // An interpreter that is going down hears no more.
    let _ = Python::try_attach(|py| {
        let logger = py.import("logging")?.call_method1("getLogger", ("pcsnet",))?;
        let text = ["note: ", "warning: "].iter().find_map(|start| line.strip_prefix(start)).unwrap_or(line);
        logger.call_method1("warning", ("%s", text)).map(drop)
    });
}
