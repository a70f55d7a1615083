//! A model that is measured.

use super::gallery::Gallery;
use super::measure::{self, Measured};
use crate::device::DeviceArguments;
use crate::framing::FramingArguments;
use crate::monitor::Monitor;
use crate::pipeline::Pipeline;
use crate::prepared::Prepared;
use anyhow::Result;
use pcsnet::Engine;
use pcsnet::data::Dataset;
use pcsnet::image::Decoder;
use pcsnet::inspect::Inspector;
use pcsnet::weights::Weights;

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
        let Prepared { inspector, decoder } = Prepared::load(engine, weights, framing, device)?;
        Ok(Self { inspector, decoder, jobs: framing.jobs() })
    }

    /// Measures the model, which the progress calls by `name`, on a test set, and takes its pictures into the gallery.
    pub(crate) fn measure(
        &self,
        name: &str,
        set: &Dataset,
        gallery: Option<&mut Gallery>,
        monitor: Monitor<'_>,
    ) -> Result<Measured> {
        let pipeline = Pipeline::new(&self.inspector, self.decoder, self.jobs, monitor.stop);
        let (step, total) = (format!("{}, {name}", set.name), set.test.len());
        measure::measure(&pipeline, set, gallery, self.inspector.calibration(), |done| monitor.tell(&step, done, total))
    }
}
