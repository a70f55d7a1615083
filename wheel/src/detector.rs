//! A model that inspects Python's photographs.

use crate::errors;
use crate::tasks::parse;
use crate::work::supervise;
use anyhow::{Result, ensure};
use clap::Args;
use image::imageops::thumbnail;
use pcsnet::image::{Rect, RgbImage, Scale};
use pcsnet::inspect::{Calibration, Findings, Region};
use pcsnet_cli::device::DeviceArguments;
use pcsnet_cli::framing::FramingArguments;
use pcsnet_cli::output;
use pcsnet_cli::pipeline::{Inspected, Pipeline, Source};
use pcsnet_cli::prepared::Prepared;
use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyList};
use std::path::PathBuf;

/// A model and how it is run, as `pcsnet detect` has it.
#[derive(Args)]
struct Arguments {
    /// The model's files.
    #[arg(long, required = true, num_args = 1..)]
    model: Vec<PathBuf>,

    #[command(flatten)]
    framing: FramingArguments,

    #[command(flatten)]
    device: DeviceArguments,
}

/// A model that is ready to inspect photographs.
#[pyclass(frozen, module = "pcsnet._native")]
pub(crate) struct Detector {
    prepared: Prepared,
    jobs: usize,
}

/// A photograph as Python has it: a path, the bytes of a file with its name, or pixels with height and width.
#[derive(FromPyObject)]
enum Photograph {
    File(PathBuf),
    Bytes(Vec<u8>, String),
    Pixels(PyBuffer<u8>, u32, u32),
}

impl Photograph {
    fn source(self, py: Python<'_>) -> PyResult<Source> {
        Ok(match self {
            Self::File(path) => Source::File(path),
            Self::Bytes(bytes, name) => Source::Bytes(name, bytes),
            Self::Pixels(pixels, height, width) => {
                let picture = RgbImage::from_raw(width, height, pixels.to_vec(py)?);
                let wrong = || PyTypeError::new_err(format!("pixels are no array of {height} x {width} x 3 bytes"));
                Source::Picture(picture.ok_or_else(wrong)?)
            }
        })
    }
}

#[pymethods]
impl Detector {
    #[new]
    fn new(py: Python<'_>, arguments: Vec<String>) -> PyResult<Self> {
        let Arguments { model, framing, device } = parse(py, &arguments)?;
        let jobs = framing.jobs();
        let prepared = supervise(py, None, |_| Prepared::new(&model, &framing, &device))?;
        Ok(Self { prepared, jobs })
    }

    /// What was found in each photograph, in order, or the exception that tells why it could not be inspected.
    #[pyo3(signature = (photographs, on_progress=None))]
    fn detect<'py>(
        &self,
        py: Python<'py>,
        photographs: Vec<Photograph>,
        on_progress: Option<Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        let sources: Vec<_> =
            photographs.into_iter().map(|photograph| photograph.source(py)).collect::<PyResult<_>>()?;
        let total = sources.len();
        let Prepared { inspector, decoder } = &self.prepared;
        let results = supervise(py, on_progress.as_ref(), |monitor| {
            let mut results = Vec::with_capacity(total);
            // No more threads than have something to do.
            let pipeline = Pipeline::new(inspector, *decoder, self.jobs.min(total.max(1)), monitor.stop);
            let items = sources.into_iter().map(|source| Ok(((), source)));
            pipeline.run(
                items,
                |(), inspected| Ok(inspected),
                |(), inspected| {
                    results.push(inspected);
                    monitor.tell("inspecting", results.len(), total);
                    Ok(())
                },
            )?;
            ensure!(results.len() == total, "stopped after {} of {total} images", results.len());
            Ok(results)
        })?;
        let calibration = *inspector.calibration();
        let objects = results.into_iter().map(|result: Result<Inspected>| match result {
            Ok(inspected) => Ok(Py::new(py, Found { inspected, calibration })?.into_any()),
            Err(error) => Ok(errors::to_python(py, &error).into_value(py).into_any()),
        });
        PyList::new(py, objects.collect::<PyResult<Vec<_>>>()?)
    }

    /// The largest score that passes.
    #[getter]
    fn threshold(&self) -> Option<f32> {
        self.prepared.inspector.calibration().threshold
    }

    /// The values that get the first and the last colour in all photographs.
    #[getter]
    fn scale(&self) -> Option<(f32, f32)> {
        self.prepared.inspector.calibration().scale.map(ends)
    }

    /// How photographs are shown to the network, in words.
    #[getter]
    fn framing(&self) -> String {
        self.prepared.inspector.framing().to_string()
    }
}

/// What was found in a photograph, and the photograph.
#[pyclass(frozen, module = "pcsnet._native")]
pub(crate) struct Found {
    inspected: Inspected,
    calibration: Calibration,
}

/// A rectangle as left edge, upper edge, width, height.
type Box4 = (u32, u32, u32, u32);
/// A region as box, area, peak, mean.
type RegionFields = (Box4, u32, f32, f32);

impl Found {
    /// Looks at the findings without Python's lock.
    fn with<T: Send>(&self, py: Python<'_>, look: impl FnOnce(Findings<'_>) -> Result<T> + Send) -> PyResult<T> {
        let looked = py.detach(|| look(self.inspected.inspection.findings(&self.calibration)?));
        looked.map_err(|error| errors::to_python(py, &error))
    }
}

#[pymethods]
impl Found {
    #[getter]
    fn score(&self) -> f32 {
        self.inspected.inspection.score
    }

    #[getter]
    fn lowest(&self) -> f32 {
        self.inspected.inspection.map.iter().copied().fold(f32::INFINITY, f32::min)
    }

    #[getter]
    fn verdict(&self) -> Option<String> {
        self.calibration.verdict(self.score()).map(|verdict| verdict.to_string())
    }

    #[getter]
    fn unlike(&self) -> Option<bool> {
        self.inspected.inspection.is_unlike(&self.calibration)
    }

    #[getter]
    fn threshold(&self) -> Option<f32> {
        self.calibration.threshold
    }

    #[getter]
    fn dimensions(&self) -> (u32, u32) {
        self.inspected.photograph.dimensions()
    }

    #[getter]
    fn inspected(&self) -> Box4 {
        corners(self.inspected.inspection.placement.inspected())
    }

    #[getter]
    fn remarks(&self) -> Vec<String> {
        self.inspected.remarks.clone()
    }

    /// Seconds of decoding, of preprocessing, and of the network with its transfers.
    #[getter]
    fn times(&self) -> (f64, f64, f64) {
        let times = self.inspected.inspection.times;
        (self.inspected.decode.as_secs_f64(), times.preprocess.as_secs_f64(), times.network.as_secs_f64())
    }

    fn regions(&self, py: Python<'_>) -> PyResult<Option<Vec<RegionFields>>> {
        let region = |Region { bounds, area, peak, mean }| (corners(bounds), area, peak, mean);
        self.with(py, |findings| Ok(findings.regions.map(|regions| regions.into_iter().map(region).collect())))
    }

    fn colours(&self, py: Python<'_>) -> PyResult<(f32, f32)> {
        self.with(py, |findings| Ok(ends(findings.colours)))
    }

    /// The map's values as native float32.
    fn map<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        let bytes = |findings: Findings<'_>| Ok(findings.map.iter().flat_map(|value| value.to_ne_bytes()).collect());
        let bytes: Vec<u8> = self.with(py, bytes)?;
        Ok(PyByteArray::new(py, &bytes))
    }

    fn heatmap<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        let picture = self.with(py, |findings| Ok(findings.heatmap()?))?;
        Ok(PyByteArray::new(py, &picture))
    }

    fn overlay<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        let picture = self.with(py, |findings| Ok(findings.overlay(&self.inspected.photograph)?))?;
        Ok(PyByteArray::new(py, &picture))
    }

    fn photograph<'py>(&self, py: Python<'py>) -> Bound<'py, PyByteArray> {
        PyByteArray::new(py, &self.inspected.photograph)
    }

    /// The overlay as a PNG file, its longest side brought down to `longest`.
    fn png<'py>(&self, py: Python<'py>, longest: u32) -> PyResult<Bound<'py, PyByteArray>> {
        let bytes = self.with(py, |findings| {
            let overlay = findings.overlay(&self.inspected.photograph)?;
            let (width, height) = overlay.dimensions();
            let side = |length: u32| (f64::from(length) * f64::from(longest) / f64::from(width.max(height))) as u32;
            output::png(&match width.max(height) > longest {
                true => thumbnail(&overlay, side(width).max(1), side(height).max(1)),
                false => overlay,
            })
        })?;
        Ok(PyByteArray::new(py, &bytes))
    }
}

fn corners(rect: Rect) -> Box4 {
    (rect.x, rect.y, rect.width, rect.height)
}

fn ends(scale: Scale) -> (f32, f32) {
    (scale.low, scale.high)
}
