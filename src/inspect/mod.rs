//! From a photograph to a decision: the map in its own frame, the threshold, the verdict, and where the defects are.
//!
//! ```
//! use pcsnet::inspect::{Calibration, Verdict, regions};
//!
//! # fn main() -> pcsnet::Result<()> {
//! // What `pcsnet calibrate` stored in the model; see `Weights::metadata`.
//! let metadata = [("pcsnet.threshold", "0.5"), ("pcsnet.scale", "0.1,0.9")].into();
//! let calibration = Calibration::from_metadata(&metadata)?;
//! assert_eq!(calibration.verdict(0.8), Some(Verdict::Fail));
//!
//! // A map in the original image's frame, three pixels wide; see `image::Frame::to_original`.
//! let map = [0.1, 0.8, f32::NAN, 0.2, 0.7, 0.3];
//! let found = regions(&map, 3, 0.5)?;
//! assert_eq!((found[0].area, found[0].peak), (2, 0.8));
//! # Ok(())
//! # }
//! ```
//!
//! One threshold serves both questions: a part fails if its score, the largest value of its map, is above the
//! threshold, and a region is where the map is above it. Whether the photograph shows such a part at all is a question
//! of its own: [`Inspection::is_unlike`]. [`Inspector`] does all of it for a photograph; the rest touches neither the
//! GPU nor files or threads.

mod alterations;
mod calibrate;
mod calibration;
mod drift;
mod findings;
mod fingerprint;
mod framing;
mod inspector;
mod outline;
mod regions;
mod threshold;
mod training;
mod unlike;

pub use crate::image::{Components, components};
pub use alterations::{Alteration, alterations};
pub(crate) use calibrate::calibrate_held_out;
pub use calibrate::{
    Calibrated, GoodPart, MapSummary, Origin, Setting, calibrate, calibrate_labelled, scale_around, threshold_below,
};
pub use calibration::{Calibration, GoodScores, Verdict};
pub use drift::{Drift, DriftReport};
pub use findings::Findings;
pub(crate) use fingerprint::FINGERPRINT_PIXELS;
pub use fingerprint::Fingerprint;
pub use framing::{Framing, Placement};
pub use inspector::{Gathered, Inspection, InspectionTimes, Inspector};
pub use outline::draw_outlines;
pub use regions::{Region, regions, regions_in_rows};
pub use threshold::{CONFIDENCE, FalseAlarms, Method, threshold_for};
pub use training::TrainingImages;
