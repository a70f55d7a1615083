//! From a model's files to what inspects photographs.

use crate::device::{self, DeviceArguments};
use crate::framing::FramingArguments;
use anyhow::Result;
use pcsnet::Engine;
use pcsnet::image::Decoder;
use pcsnet::inspect::{Calibration, Inspector};
use pcsnet::weights::Weights;
use std::path::PathBuf;

/// A model that is ready to inspect photographs.
#[derive(Debug)]
pub struct Prepared {
    /// The model in its framing, with what its scores mean there.
    pub inspector: Inspector,
    /// How image files are read.
    pub decoder: Decoder,
}

impl Prepared {
    /// Loads a model, calibrated as its files say, onto the device that the arguments name.
    ///
    /// # Errors
    /// For files that are no model, and a device that cannot run it.
    pub fn new(files: &[PathBuf], framing: &FramingArguments, device: &DeviceArguments) -> Result<Self> {
        let weights = device::open_weights(files)?;
        Self::load(&device::engine(&device.adapter)?, &weights, framing, device)
    }

    /// Loads a model onto a device that is open.
    pub(crate) fn load(
        engine: &Engine,
        weights: &Weights,
        framing: &FramingArguments,
        device: &DeviceArguments,
    ) -> Result<Self> {
        let calibration = Calibration::from_metadata(&weights.metadata())?;
        let decoder = framing.decoder(&weights.metadata())?;
        let model = device::load(engine, weights, device, framing.batch)?;
        Ok(Self { inspector: framing.inspector(&model, calibration)?, decoder })
    }
}
