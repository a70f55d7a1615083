//! The arguments on how photographs are read and shown to the network.

use crate::output;
use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::Model;
use pcsnet::image::{Decoder, Fit, ValueRange};
use pcsnet::inspect::{Calibration, Framing, Inspector};
use pollster::block_on;
use std::collections::BTreeMap;
use std::thread;

/// What the commands that inspect photographs have in common.
#[derive(Debug, Args)]
pub struct FramingArguments {
    /// How a photograph becomes square: `crop` its middle or `stretch` it whole. By default as the model was trained
    #[arg(long, value_name = "crop|stretch", hide_possible_values = true, value_parser = fit())]
    fit: Option<Fit>,

    /// Inspect large photographs in overlapping tiles of SIDE x SIDE pixels, each stretched to the network's input; 0
    /// for none. By default as the model was calibrated
    #[arg(long, value_name = "SIDE", conflicts_with = "fit")]
    tiles: Option<u32>,

    /// Images, or tiles, that are handed to the GPU at once; scores do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// Threads that read and fit photographs while the GPU works, and as many that write. By default as many as there
    /// are processors, 4 at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,

    /// The samples that are black and white in images of more than 8 bits, such as 0,4095 for a camera of 12 bits. By
    /// default the model's own range, or else what each file declares
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true)]
    pub range: Option<ValueRange>,

    /// The most pixels an image may have; larger ones are refused before anything is decoded
    #[arg(long, value_name = "N", default_value_t = pcsnet::image::MAX_PIXELS)]
    max_pixels: u64,
}

/// As a model asks for it.
impl Default for FramingArguments {
    fn default() -> Self {
        Self { fit: None, tiles: None, batch: 1, jobs: None, range: None, max_pixels: pcsnet::image::MAX_PIXELS }
    }
}

/// Reads the name of a fit.
pub(crate) fn fit() -> impl TypedValueParser<Value = Fit> {
    PossibleValuesParser::new(["crop", "stretch"]).try_map(|name| Fit::by_name(&name))
}

impl FramingArguments {
    /// Threads on each side of the GPU.
    pub fn jobs(&self) -> usize {
        let default = || thread::available_parallelism().map_or(1, usize::from).min(4);
        self.jobs.map_or_else(default, usize::from)
    }

    /// How image files are read, as the arguments and the model's metadata say.
    pub(crate) fn decoder(&self, metadata: &BTreeMap<&str, &str>) -> Result<Decoder> {
        let own = ValueRange::from_metadata(metadata)?;
        Ok(Decoder::default().with_range(self.range.or(own)).with_max_pixels(self.max_pixels))
    }

    /// A model that is ready to inspect photographs as the arguments say.
    pub(crate) fn inspector(&self, model: &Model, calibration: Calibration) -> Result<Inspector> {
        let inspector =
            block_on(Inspector::new(model, calibration, self.batch)).context("cannot prepare the network")?;
        let framed = inspector.with_framing(self.framing(inspector.framing()));
        if calibration.threshold.is_some() && framed.calibration().threshold.is_none() {
            output::complain(&format!(
                "the model's threshold was found for photographs {} and holds for none {}: there are no verdicts; \
                 `pcsnet calibrate` with the same arguments finds one",
                inspector.framing(),
                framed.framing()
            ));
        }
        Ok(framed)
    }

    /// The framing that the arguments and the calibrated model's own ask for together.
    fn framing(&self, own: Framing) -> Framing {
        let calibrated = own.tiles.filter(|_| self.fit.is_none());
        let tiles = self.tiles.or(calibrated).filter(|&side| side > 0);
        Framing { fit: self.fit.unwrap_or(own.fit), tiles, ..own }
    }
}
