//! A model that is measured.

use super::gallery::Gallery;
use super::measure::{self, Measured};
use crate::device::{self, DeviceArguments};
use crate::framing::FramingArguments;
use crate::output;
use crate::pipeline::Pipeline;
use anyhow::Result;
use pcsnet::Engine;
use pcsnet::data::Dataset;
use pcsnet::image::Decoder;
use pcsnet::inspect::{Calibration, Inspector};
use pcsnet::weights::Weights;
use std::sync::atomic::AtomicBool;

/// A model on the device, ready to be shown test sets.
pub(crate) struct Candidate {
    pub(crate) inspector: Inspector,
    decoder: Decoder,
    jobs: usize,
}

impl Candidate {
    pub(crate) fn new(
        engine: &Engine,
        weights: &Weights,
        framing: &FramingArguments,
        device: &DeviceArguments,
    ) -> Result<Self> {
        let calibration = Calibration::from_metadata(&weights.metadata())?;
        let model = device::load(engine, weights, device, framing.batch)?;
        let inspector = framing.inspector(&model, calibration)?;
        Ok(Self { inspector, decoder: framing.decoder(&weights.metadata())?, jobs: framing.jobs() })
    }

    /// Measures the model, which the progress calls by `name`, on a test set, and takes its pictures into the gallery.
    pub(crate) fn measure(&self, name: &str, set: &Dataset, gallery: Option<&mut Gallery>) -> Result<Measured> {
        let stop = AtomicBool::new(false);
        let pipeline = Pipeline::new(&self.inspector, self.decoder, self.jobs, &stop);
        let template = "{msg} {bar:40} {pos}/{len} images, {per_sec}, {eta} left";
        let progress = output::progress_bar(template, set.test.len(), format!("{}, {name}", set.name));
        let threshold = self.inspector.calibration().threshold;
        let measured = measure::measure(&pipeline, set, gallery, threshold, &progress);
        progress.finish_and_clear();
        measured
    }
}
