//! Whether a line has changed since the model was calibrated.

use super::outputs::Outcome;
use crate::output;
use pcsnet::inspect::{Drift, DriftReport, GoodScores};

/// Compares a line's parts with those of the calibration, and says on stderr when an alarm begins.
pub(crate) struct Watcher {
    drift: Drift,
    is_alarmed: bool,
}

impl Watcher {
    pub(crate) fn new(good: GoodScores) -> Self {
        Self { drift: Drift::new(good), is_alarmed: false }
    }

    /// Takes the line's next part, and tells how the latest compare.
    pub(crate) fn next(&mut self, part: &Outcome) -> Option<DriftReport> {
        let report = self.drift.add(part.score, part.verdict?)?;
        if report.alarm && !self.is_alarmed {
            let DriftReport { parts, median, calibrated, .. } = report;
            output::complain(&format!(
                "drift: the latest {parts} parts that passed have a median score of {median}, those of the calibration \
                 had {calibrated}; see whether camera, light or parts have changed, or calibrate anew"
            ));
        }
        self.is_alarmed = report.alarm;
        Some(report)
    }
}
