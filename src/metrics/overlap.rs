//! AUPRO: the per-region overlap against the false-positive rate.

use super::{Metric, Undefined};

/// The false-positive rate up to which the overlap is integrated, as in MVTec AD (Bergmann et al., IJCV 2021).
const FPR_LIMIT: f64 = 0.3;
/// Thresholds of the authors' variant.
const STEPS: u32 = 200;

/// The exact area under the curve of mean overlap against false-positive rate: one point for each distinct score,
/// straight lines between, up to [`FPR_LIMIT`], over the limit.
pub(super) struct Area {
    normal: u64,
    limit: f64,
    /// The last point: normal pixels from the threshold on, and the mean overlap there.
    last: (u64, f64),
    area: f64,
}

impl Area {
    pub(super) fn new(normal: u64) -> Self {
        Self { normal, limit: FPR_LIMIT * normal as f64, last: (0, 0.0), area: 0.0 }
    }

    /// The next score at which the overlap grows, to `overlap`, the largest first, and how many normal pixels are above
    /// it and as high.
    pub(super) fn push(&mut self, overlap: f64, normal_above: u64, normal_equal: u64) {
        self.line_to(normal_above, self.last.1);
        self.line_to(normal_above + normal_equal, overlap);
    }

    fn line_to(&mut self, normal: u64, overlap: f64) {
        let (start, first) = (self.last.0 as f64, self.last.1);
        let end = (normal as f64).min(self.limit);
        if end > start {
            let slope = (overlap - first) / (normal as f64 - start);
            self.area += (end - start) * (first + slope * (end - start) / 2.0);
        }
        self.last = (normal, overlap);
    }

    /// `regions` is how many there were.
    pub(super) fn finish(mut self, regions: u64) -> Metric {
        ensure_both(self.normal, regions)?;
        self.line_to(self.normal, self.last.1);
        Ok(self.area / self.limit)
    }
}

/// The variant of the authors' evaluation, and of much published code: thresholds from the least value of all maps in
/// 200 even steps, of which those count whose false-positive rate is below 0.3, and the area over the largest of these
/// rates. It depends on the range of the maps, and differs from the exact one.
pub(super) struct SteppedArea {
    thresholds: Vec<f64>,
    /// False-positive rate and mean overlap of the thresholds so far, from the highest down.
    points: Vec<(f64, f64)>,
    normal: u64,
}

impl SteppedArea {
    /// An empty area of maps with values from `lowest` to `highest`.
    pub(super) fn new(normal: u64, lowest: f32, highest: f32) -> Self {
        let (lowest, highest) = (f64::from(lowest), f64::from(highest));
        let step = (highest - lowest) / f64::from(STEPS);
        // Rising, so that the next one is the last.
        let thresholds = (0..STEPS).filter(|_| step > 0.0).map(|index| lowest + f64::from(index) * step).collect();
        Self { thresholds, points: Vec::new(), normal }
    }

    /// The next threshold.
    pub(super) fn next(&self) -> Option<f64> {
        self.thresholds.last().copied()
    }

    /// What is above the next threshold: normal pixels, and the mean overlap.
    pub(super) fn push(&mut self, normal_above: u64, overlap: f64) {
        self.thresholds.pop();
        let rate = normal_above as f64 / self.normal as f64;
        if rate < FPR_LIMIT {
            self.points.push((rate, overlap));
        }
    }

    /// `regions` is how many there were.
    pub(super) fn finish(self, regions: u64, constant: bool) -> Metric {
        ensure_both(self.normal, regions)?;
        if constant {
            return Err(Undefined::Constant);
        }
        let largest = self.points.last().map_or(0.0, |&(rate, _)| rate);
        if self.points.len() < 2 || largest == 0.0 {
            return Err(Undefined::TooFewThresholds);
        }
        let trapezoid = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0) * (pair[0].1 + pair[1].1) / 2.0;
        Ok(self.points.windows(2).map(trapezoid).sum::<f64>() / largest)
    }
}

fn ensure_both(normal: u64, regions: u64) -> Result<(), Undefined> {
    match (normal, regions) {
        (0, 0) => Err(Undefined::NoSamples),
        (_, 0) => Err(Undefined::NoAnomalous),
        (0, _) => Err(Undefined::NoNormal),
        _ => Ok(()),
    }
}
