//! How photographs come to the network's input, whole or in tiles, and how its maps come back.

use super::Calibration;
use crate::image::{Fit, Frame, Rect, RgbImage, Tiles};
use crate::{Model, Result};
use std::borrow::Cow;
use std::fmt;

/// How photographs are shown to a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framing {
    /// How a whole photograph becomes a square; tiles are always stretched.
    pub fit: Fit,
    /// Side of the overlapping tiles in which photographs are inspected, in their own pixels; `None` for whole ones.
    pub tiles: Option<u32>,
    /// Side of the network's input, in pixels.
    pub side: u32,
}

impl Framing {
    /// The framing in which a model was trained and calibrated: what its threshold holds for.
    pub fn of(model: &Model, calibration: &Calibration) -> Self {
        let tiles = calibration.tiles.filter(|&side| side > 0);
        Self { fit: model.fit(), tiles, side: model.config().input }
    }

    /// Where the network's inputs lie in a photograph of these dimensions (width, height).
    ///
    /// # Errors
    /// Those of [`Frame::new`] and [`Tiles::new`]: sizes that cannot be used.
    pub fn place(&self, dimensions: (u32, u32)) -> Result<Placement> {
        Ok(match self.tiles {
            Some(tile) => Placement::Tiled(Tiles::new(dimensions, tile, self.side)?),
            None => Placement::Whole { frame: Frame::new(self.fit, dimensions, self.side)?, fit: self.fit },
        })
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tiles {
            Some(side) => write!(f, "in tiles of {side} x {side} pixels"),
            None => write!(f, "whole, fitted by {}", self.fit.name()),
        }
    }
}

/// Where the network's inputs lie in one photograph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The whole photograph, or its middle, is one input.
    Whole {
        /// The input's place.
        frame: Frame,
        /// How it was chosen.
        fit: Fit,
    },
    /// Each tile is an input.
    Tiled(Tiles),
}

impl Placement {
    /// How many inputs the photograph makes.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Whole { .. } => 1,
            Self::Tiled(tiles) => tiles.places().len(),
        }
    }

    /// One of the photograph's inputs, side x side.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for a photograph of other dimensions, or an index beyond the last input.
    pub fn input(&self, photograph: &RgbImage, index: usize) -> Result<RgbImage> {
        match self {
            Self::Whole { frame, .. } => frame.input(photograph),
            Self::Tiled(tiles) => tiles.input(photograph, index),
        }
    }

    /// Width and height of the photograph.
    pub fn dimensions(&self) -> (u32, u32) {
        match self {
            Self::Whole { frame, .. } => frame.original(),
            Self::Tiled(tiles) => tiles.dimensions(),
        }
    }

    /// The part of the photograph that the network sees.
    pub fn inspected(&self) -> Rect {
        match self {
            Self::Whole { frame, .. } => frame.inspected(),
            Self::Tiled(tiles) => {
                let (width, height) = tiles.dimensions();
                Rect { x: 0, y: 0, width, height }
            }
        }
    }

    /// Width and height of an [`Inspection`](super::Inspection)'s map: the network's input, or of tiles the photograph.
    pub fn map_dimensions(&self) -> (u32, u32) {
        match self {
            Self::Whole { frame, .. } => (frame.size(), frame.size()),
            Self::Tiled(tiles) => tiles.dimensions(),
        }
    }

    /// An inspection's map in the photograph's frame: height x width, row-major, NaN where it was not inspected.
    ///
    /// # Errors
    /// [`Error::Input`](crate::Error::Input) for a map of another size.
    pub fn to_photograph<'a>(&self, map: &'a [f32]) -> Result<Cow<'a, [f32]>> {
        Ok(match self {
            Self::Whole { frame, .. } => Cow::Owned(frame.to_original(map)?),
            Self::Tiled(_) => Cow::Borrowed(map),
        })
    }
}
