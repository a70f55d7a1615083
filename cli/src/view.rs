//! How photographs are shown to the network, and what it saw.

use crate::pipeline::Times;
use anyhow::{Result, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use pcsnet::data::MaskFile;
use pcsnet::image::{Fit, Frame, Rect, RgbImage, Tiles};
use pcsnet::inspect::Calibration;
use pcsnet::{Detection, Model};
use std::borrow::Cow;
use std::thread;

/// What the commands that look at photographs have in common.
#[derive(Args)]
pub struct ViewArguments {
    /// How a photograph becomes square: `crop` its middle or `stretch` it whole. By default as the model was trained
    #[arg(long, value_name = "crop|stretch", hide_possible_values = true, value_parser = fit())]
    pub fit: Option<Fit>,

    /// Inspect large photographs in overlapping tiles of SIDE x SIDE pixels, each stretched to the network's input; 0 for
    /// none. By default as the model was calibrated
    #[arg(long, value_name = "SIDE", conflicts_with = "fit")]
    pub tiles: Option<u32>,

    /// Images, or tiles, that are handed to the GPU at once; scores do not depend on it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,

    /// Threads that read and fit photographs while the GPU works, and as many that write. By default as many as there are
    /// processors, 4 at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
}

fn fit() -> impl TypedValueParser<Value = Fit> {
    PossibleValuesParser::new(["crop", "stretch"]).try_map(|name| Fit::by_name(&name))
}

impl ViewArguments {
    /// Threads on each side of the GPU.
    pub fn jobs(&self) -> usize {
        let default = || thread::available_parallelism().map_or(1, usize::from).min(4);
        self.jobs.map_or_else(default, usize::from)
    }

    /// What the arguments, the model and its calibration say together.
    pub fn viewing(&self, model: &Model, calibration: &Calibration) -> Viewing {
        let calibrated = calibration.tiles.filter(|_| self.fit.is_none());
        let tiles = self.tiles.or(calibrated).filter(|&side| side > 0);
        Viewing { fit: self.fit.unwrap_or(model.fit()), tiles, side: model.config().input }
    }
}

/// How photographs are shown to the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Viewing {
    pub fit: Fit,
    /// Side of the tiles, in the photograph's pixels.
    pub tiles: Option<u32>,
    /// Side of the network's input.
    pub side: u32,
}

impl Viewing {
    /// The way of a photograph of these dimensions.
    pub fn view(&self, dimensions: (u32, u32)) -> Result<View> {
        Ok(match self.tiles {
            Some(tile) => View::Tiled(Tiles::new(dimensions, tile, self.side)?, dimensions),
            None => View::Whole(Frame::new(self.fit, dimensions, self.side)?, self.fit),
        })
    }
}

/// One photograph's way into the network and back.
pub enum View {
    Whole(Frame, Fit),
    Tiled(Tiles, (u32, u32)),
}

impl View {
    /// What the network gets to see.
    pub fn inputs(&self, photograph: &RgbImage) -> Result<Vec<RgbImage>> {
        Ok(match self {
            Self::Whole(frame, _) => vec![frame.input(photograph)?],
            Self::Tiled(tiles, _) => tiles.inputs(photograph)?,
        })
    }

    /// Width and height of the photograph.
    pub fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Whole(frame, _) => frame.original(),
            Self::Tiled(_, dimensions) => *dimensions,
        }
    }

    /// The part of the photograph that the network sees.
    pub fn inspected(&self) -> Rect {
        match self {
            Self::Whole(frame, _) => frame.inspected(),
            Self::Tiled(_, (width, height)) => Rect { x: 0, y: 0, width: *width, height: *height },
        }
    }

    /// Joins what was found in the inputs to one score and one map.
    fn join(&self, detections: Vec<Detection>) -> Result<(f32, Vec<f32>)> {
        let (score, map) = match self {
            Self::Whole(..) => {
                let found = detections.into_iter().next();
                found.map_or_else(Default::default, |Detection { score, map }| (score, map))
            }
            Self::Tiled(tiles, _) => {
                let maps: Vec<_> = detections.into_iter().map(|detection| detection.map).collect();
                let map = tiles.join(&maps)?;
                (map.iter().copied().fold(f32::NEG_INFINITY, f32::max), map)
            }
        };
        ensure!(map.iter().all(|value| value.is_finite()), "the network gave values that are no numbers");
        Ok((score, map))
    }
}

/// A photograph that went through the network.
pub struct Seen {
    pub photograph: RgbImage,
    pub view: View,
    /// The map's largest value.
    pub score: f32,
    /// In the network's frame, or, of tiles, in the photograph's.
    pub map: Vec<f32>,
    pub times: Times,
}

impl Seen {
    pub fn new(photograph: RgbImage, view: View, detections: Vec<Detection>, times: Times) -> Result<Self> {
        let (score, map) = view.join(detections)?;
        Ok(Self { photograph, view, score, map, times })
    }

    /// The map's least value.
    pub fn lowest(&self) -> f32 {
        self.map.iter().copied().fold(f32::INFINITY, f32::min)
    }

    /// Columns of the map.
    pub fn map_width(&self) -> usize {
        match &self.view {
            View::Whole(frame, _) => frame.size() as usize,
            View::Tiled(_, (width, _)) => *width as usize,
        }
    }

    /// The map in the photograph's frame, NaN where it was not inspected.
    pub fn original_map(&self) -> Result<Cow<'_, [f32]>> {
        Ok(match &self.view {
            View::Whole(frame, _) => Cow::Owned(frame.to_original(&self.map)?),
            View::Tiled(..) => Cow::Borrowed(&self.map),
        })
    }

    /// A mask in the map's frame.
    pub fn mask(&self, file: &MaskFile) -> Result<Vec<bool>> {
        Ok(match &self.view {
            View::Whole(frame, fit) => file.read_fitted(frame.original(), *fit, frame.size())?,
            View::Tiled(_, dimensions) => file.read_whole(*dimensions)?,
        })
    }
}
