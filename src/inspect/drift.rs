//! Whether a line's good parts still score as they did when the model was calibrated.

use super::{GoodScores, Verdict};
use serde::Serialize;
use std::collections::VecDeque;

/// The parts that are looked back upon.
const WINDOW: usize = 100;
/// The chance below which there is an alarm.
const ALARM: f64 = 1e-5;

/// The latest 100 parts of a line that passed, against the good parts of the calibration.
///
/// An alarm asks for no distribution of scores, no tuning and no number of parts: it is a sign test of the latest parts
/// against the calibration's median, which allows for how little a few parts tell of that median.
///
/// ```
/// use pcsnet::inspect::{Drift, GoodScores, Verdict};
///
/// let mut drift = Drift::new(GoodScores { median: 0.2, parts: 100 });
/// // The light has changed: every good part scores higher than half of those of the calibration did.
/// let reports: Vec<_> = (0..20).filter_map(|_| drift.add(0.25, Verdict::Pass)).collect();
/// assert!(!reports[9].alarm && reports[19].alarm);
/// ```
#[derive(Clone, Debug)]
pub struct Drift {
    good: GoodScores,
    latest: VecDeque<f32>,
}

/// How the latest parts that passed compare with those of the calibration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DriftReport {
    /// How many parts are looked back upon, 100 at most.
    pub parts: usize,
    /// The median of their scores.
    pub median: f32,
    /// The median of the good parts' scores in the calibration.
    pub calibrated: f32,
    /// How likely so many of the scores, or more, would lie on one side of that median if nothing had changed.
    pub chance: f64,
    /// Whether that is less likely than 1 in 100,000: camera, light or parts must have changed.
    pub alarm: bool,
}

impl Drift {
    /// Compares with these, from the next part on.
    pub fn new(good: GoodScores) -> Self {
        Self { good, latest: VecDeque::with_capacity(WINDOW) }
    }

    /// Takes the score of the line's next part, and tells how the latest compare; `None` where none has passed yet.
    /// Parts that fail say nothing of the good ones and are left out.
    pub fn add(&mut self, score: f32, verdict: Verdict) -> Option<DriftReport> {
        if verdict == Verdict::Pass {
            if self.latest.len() == WINDOW {
                self.latest.pop_front();
            }
            self.latest.push_back(score);
        }
        self.report()
    }

    fn report(&self) -> Option<DriftReport> {
        let GoodScores { median: calibrated, parts: known } = self.good;
        let parts = self.latest.len();
        let above = self.latest.iter().filter(|score| **score > calibrated).count();
        let chance = chance(above, parts, known);
        let median = median(self.latest.iter().copied())?;
        Some(DriftReport { parts, median, calibrated, chance, alarm: chance < ALARM })
    }
}

/// The chance that of `parts` values so many or more lie on one side, whichever it is, of the median of `known` others
/// of the same distribution. The share of any continuous distribution above the median of n samples is distributed as
/// Beta((n + 1) / 2, (n + 1) / 2), so that the number of values above it has the beta-binomial distribution of these
/// parameters (David and Nagaraja, "Order Statistics", 2003, sections 2.3 and 7.3).
fn chance(above: usize, parts: usize, known: u32) -> f64 {
    let shape = (f64::from(known) + 1.0) / 2.0;
    // Both sides are alike.
    let extreme = above.max(parts - above);
    let mut of_exactly: f64 = (0..parts).map(|index| (shape + index as f64) / (2.0 * shape + index as f64)).product();
    let mut sum = of_exactly;
    for count in (extreme..parts).rev() {
        // From one more above to one less.
        let (count, rest) = (count as f64, (parts - count) as f64);
        of_exactly *= (count + 1.0) / rest * (shape + rest - 1.0) / (shape + count);
        sum += of_exactly;
    }
    (2.0 * sum).min(1.0)
}

/// The middle value, or the mean of the two in the middle; `None` without any.
pub(super) fn median(values: impl IntoIterator<Item = f32>) -> Option<f32> {
    let mut values: Vec<f32> = values.into_iter().collect();
    values.sort_by(f32::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some((values[last / 2] + values[values.len() / 2]) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_are_those_of_exact_fractions() {
        // Above, parts, known: min(1, 2 * sum of C(parts, k) (s)_k (s)_(parts - k) / (2 s)_parts from k = above on),
        // where s = (known + 1) / 2 and (s)_k = s (s + 1) ... (s + k - 1), in Python's fractions. SciPy's betabinom.sf
        // gives the same digits where `known` is small, and loses some of them elsewhere.
        let expected = [
            (80, 100, 100, 1.012_695_625_341_498_3e-5),
            (72, 100, 100_000, 1.270_170_944_802_969_6e-5),
            (100, 100, 10, 9.202_207_367_122_798e-7),
            (20, 20, 1000, 2.297_700_063_856_494_3e-6),
            (20, 20, 8, 0.002_864_861_997_035_664_8),
            (7, 10, 7, 0.536_404_771_698_889_3),
            (51, 100, 3, 0.985_292_704_027_684_3),
        ];
        for (above, parts, known, expected) in expected {
            for side in [above, parts - above] {
                let chance = chance(side, parts, known);
                // Some hundred roundings.
                assert!((chance / expected - 1.0).abs() < 1e-12, "{side} of {parts} against {known}: {chance}");
            }
        }
        assert_eq!(chance(5, 10, 7), 1.0);
    }

    /// Scores of good parts: the quantiles of a Gumbel distribution of width 0.02, in an order that jumps.
    fn score(index: usize) -> f32 {
        let share = ((index * 377) % 1000) as f32 / 1000.0 + 0.0005;
        0.2 - 0.02 * (-share.ln()).ln()
    }

    #[test]
    fn an_alarm_where_scores_have_moved_and_nowhere_else() {
        let known = (0..100).map(|index| score(10 * index));
        let mut drift = Drift::new(GoodScores { median: median(known).expect("scores"), parts: 100 });
        let mut alarms = |move_by: f32| {
            let mut alarm = |index| drift.add(score(index) + move_by, Verdict::Pass).expect("a part passed").alarm;
            (0..1000).map(&mut alarm).collect::<Vec<_>>()
        };
        assert!(alarms(0.0).iter().all(|alarm| !alarm));
        // By two deviations, after some of the hundred parts, to the end; back again, the alarm ends as it began.
        let first = alarms(0.05).iter().position(|alarm| *alarm).expect("an alarm");
        assert!((30..90).contains(&first), "after {first} parts");
        let calm = alarms(0.0);
        assert!(calm[0] && calm[WINDOW..].iter().all(|alarm| !alarm));
        assert!(alarms(-0.05)[WINDOW..].iter().all(|alarm| *alarm), "scores that fall are as strange");
    }

    #[test]
    fn defective_parts_do_not_count() {
        let mut drift = Drift::new(GoodScores { median: 0.2, parts: 1000 });
        assert_eq!(drift.add(9.0, Verdict::Fail), None);
        let report = drift.add(0.125, Verdict::Pass).expect("a part passed");
        assert_eq!(drift.add(9.0, Verdict::Fail), Some(report));
        assert_eq!((report.parts, report.median, report.calibrated, report.alarm), (1, 0.125, 0.2, false));
    }

    #[test]
    fn medians() {
        assert_eq!(median([3.0, -1.0, 2.0]), Some(2.0));
        assert_eq!(median([3.0, -1.0, 2.0, 8.0]), Some(2.5));
        assert_eq!(median([]), None);
    }
}
