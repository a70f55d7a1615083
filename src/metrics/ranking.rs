//! Metrics of scores and two classes.

use super::{Metric, Undefined, descending_key, ensure_finite};
use crate::{Error, Result};
use serde::Serialize;

/// What a threshold on the scores can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Normal samples.
    pub normal: u64,
    /// Anomalous samples.
    pub anomalous: u64,
    /// Area under the receiver operating characteristic: the share of pairs of an anomalous and a normal sample in
    /// which the anomalous one has the larger score, equal ones counting half. scikit-learn's `roc_auc_score`.
    pub auroc: Metric,
    /// Area under the precision-recall curve by its steps. scikit-learn's `average_precision_score`.
    pub average_precision: Metric,
    /// The threshold with the best F1. scikit-learn's `precision_recall_curve`, maximised.
    pub best_f1: std::result::Result<BestF1, Undefined>,
    /// The curves, thinned to at most some thousand points: what changes less than 1 / 1000 in both rates is left out.
    pub curve: Vec<CurvePoint>,
}

/// The best harmonic mean of precision and recall, and where it is reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BestF1 {
    /// 0 to 1.
    pub f1: f64,
    /// Samples count as anomalous from this score on (>=); the highest such threshold where several are as good.
    pub threshold: f32,
}

/// A threshold's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Share of the anomalous samples with scores from the threshold on: recall.
    pub true_positive_rate: f64,
    /// Share of the normal samples with such scores.
    pub false_positive_rate: f64,
    /// Share of the anomalous among all samples with such scores.
    pub precision: f64,
}

/// Ranks samples by score; `anomalous` tells each one's class.
///
/// # Errors
/// [`Error::Input`] for slices of different length and for scores that are not finite.
pub fn ranking(scores: &[f32], anomalous: &[bool]) -> Result<Ranking> {
    if scores.len() != anomalous.len() {
        return Err(Error::Input {
            what: "classes".to_owned(),
            expected: format!("one for each of {} scores", scores.len()),
            found: anomalous.len().to_string(),
        });
    }
    ensure_finite(scores)?;
    let mut samples: Vec<_> = scores.iter().copied().zip(anomalous.iter().copied()).collect();
    samples.sort_unstable_by_key(|&(score, _)| descending_key(score));
    let total = anomalous.iter().filter(|anomalous| **anomalous).count() as u64;
    let mut builder = Builder::new(scores.len() as u64 - total, total);
    let mut above = 0;
    for equal in samples.chunk_by(|a, b| a.0 == b.0) {
        let anomalous = equal.iter().filter(|(_, anomalous)| *anomalous).count() as u64;
        let normal = equal.len() as u64 - anomalous;
        if anomalous > 0 {
            builder.push(equal[0].0, anomalous, above, normal);
        }
        above += normal;
    }
    Ok(builder.finish())
}

/// Takes the distinct scores of anomalous samples, the largest first, and so computes a [`Ranking`].
///
/// Scores that only normal samples have need not be told: between two anomalous samples recall stands still, precision
/// and F1 only fall, and what the false-positive rate did is told with the next one.
pub(super) struct Builder {
    normal: u64,
    anomalous: u64,
    true_positives: u64,
    /// Twice the number of pairs in order, equal ones counting half.
    ordered_twice: u128,
    precision_steps: f64,
    best: Option<BestF1>,
    curve: Vec<CurvePoint>,
}

impl Builder {
    /// An empty ranking with room for so many samples of each class.
    pub(super) fn new(normal: u64, anomalous: u64) -> Self {
        let curve = vec![CurvePoint { true_positive_rate: 0.0, false_positive_rate: 0.0, precision: 1.0 }];
        Self { normal, anomalous, true_positives: 0, ordered_twice: 0, precision_steps: 0.0, best: None, curve }
    }

    /// The next score that anomalous samples have: how many, how many normal ones are above it and as high.
    pub(super) fn push(&mut self, score: f32, anomalous: u64, normal_above: u64, normal_equal: u64) {
        // The curve runs level to this score, then rises.
        self.trace(normal_above, false);
        self.true_positives += anomalous;
        let false_positives = normal_above + normal_equal;
        let below = self.normal - false_positives;
        self.ordered_twice += u128::from(anomalous) * (2 * u128::from(below) + u128::from(normal_equal));
        let called = (self.true_positives + false_positives) as f64;
        self.precision_steps += anomalous as f64 * (self.true_positives as f64 / called);
        // 2 TP / (2 TP + FP + FN)
        let f1 = 2.0 * self.true_positives as f64 / (called + self.anomalous as f64);
        if self.best.is_none_or(|best| f1 > best.f1) {
            self.best = Some(BestF1 { f1, threshold: score });
        }
        self.trace(false_positives, self.true_positives == self.anomalous);
    }

    fn trace(&mut self, false_positives: u64, always: bool) {
        const STEP: f64 = 1e-3;
        let true_positive_rate = share(self.true_positives, self.anomalous);
        let false_positive_rate = share(false_positives, self.normal);
        let moved = self.curve.last().is_none_or(|last| {
            true_positive_rate - last.true_positive_rate >= STEP
                || false_positive_rate - last.false_positive_rate >= STEP
        });
        if moved || always {
            let called = self.true_positives + false_positives;
            let precision = if called == 0 { 1.0 } else { share(self.true_positives, called) };
            self.curve.push(CurvePoint { true_positive_rate, false_positive_rate, precision });
        }
    }

    pub(super) fn finish(mut self) -> Ranking {
        let Self { normal, anomalous, .. } = self;
        self.true_positives = anomalous;
        self.trace(normal, true);
        let both = match (normal, anomalous) {
            (0, 0) => Err(Undefined::NoSamples),
            (_, 0) => Err(Undefined::NoAnomalous),
            (0, _) => Err(Undefined::NoNormal),
            _ => Ok(()),
        };
        // These need no normal sample.
        let any = if both == Err(Undefined::NoNormal) { Ok(()) } else { both };
        let pairs_twice = 2 * u128::from(normal) * u128::from(anomalous);
        Ranking {
            normal,
            anomalous,
            auroc: both.map(|()| self.ordered_twice as f64 / pairs_twice as f64),
            average_precision: any.map(|()| self.precision_steps / anomalous as f64),
            best_f1: any.and_then(|()| self.best.ok_or(Undefined::NoAnomalous)),
            curve: if any.is_ok() { self.curve } else { Vec::new() },
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
