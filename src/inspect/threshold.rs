//! A threshold from normal images alone.

use crate::random::SplitMix;
use crate::{Error, Result};
use serde::Serialize;
use std::f64::consts::{SQRT_2, TAU};

/// How sure the interval of [`FalseAlarms`] is.
pub const CONFIDENCE: f64 = 0.9;

/// A threshold on scores, and how often good parts will exceed it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FalseAlarms {
    /// The largest score that passes.
    pub threshold: f32,
    /// The share of good parts that is expected to exceed it.
    pub rate: f64,
    /// The bounds between which the share lies with [`CONFIDENCE`].
    pub interval: [f64; 2],
    /// How the threshold was found.
    pub method: Method,
    /// Images it was found from.
    pub images: usize,
}

/// How a threshold is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// One of the scores itself, by its rank. Holds whatever the scores' distribution.
    Rank,
    /// Beyond the scores, by an extreme-value (Gumbel) distribution with their mean and deviation: what the largest
    /// values of many pixels tend to follow. An assumption, needed where fewer images are at hand than one false alarm
    /// takes.
    ExtremeValue,
    /// Beyond the scores, by a normal distribution of their logarithms (Student's prediction of the next value): scores
    /// of photographs that were compared with the others alone differ by factors. How widely they do elsewhere counts
    /// as four photographs more. Assumptions, too.
    LogNormal,
}

/// The threshold that a share `rate` of good parts is expected to exceed.
///
/// `scores` are those of good images that stand for the parts to come, a list for each image: one score, or several of
/// varied copies of it. Where at least `1 / rate - 1` images have one score each, the threshold is a score of
/// [`Method::Rank`]; the interval is that of the order statistic (a beta distribution), which is exact for independent
/// images. Otherwise it is found by [`Method::ExtremeValue`], as the mean plus so many deviations that the rate is met
/// on average over all samples of this size; the interval comes from the same simulated samples. Copies of one image
/// count as the fewer images the more alike their scores are (Kish's design effect).
///
/// # Errors
/// [`Error::Input`] for less than two images, scores that are not finite or all the same, or a rate that is not between
/// 0 and 1/2.
pub fn threshold_for(scores: &[Vec<f32>], rate: f64) -> Result<FalseAlarms> {
    let images = images_of(scores, rate)?;
    let rank = (rate * (images as f64 + 1.0)).floor() as usize;
    let mut all = scores.concat();
    if all.len() == images && rank >= 1 {
        all.sort_by(|a, b| b.total_cmp(a));
        let interval = [1.0 - CONFIDENCE, 1.0 + CONFIDENCE].map(|twice| rank_quantile(images, rank, twice / 2.0));
        let rate = rank as f64 / (images as f64 + 1.0);
        return Ok(FalseAlarms { threshold: all[rank - 1], rate, interval, method: Method::Rank, images });
    }
    let (threshold, interval) = beyond(Family::Gumbel, scores, Prior::NONE, rate)?;
    Ok(FalseAlarms { threshold, rate, interval, method: Method::ExtremeValue, images })
}

/// [`threshold_for`] from scores of photographs that were compared with the others alone, by [`Method::LogNormal`]. Of
/// two to eight scores the deviation is a guess, which [`HELD_OUT`] steadies.
///
/// # Errors
/// As [`threshold_for`], and [`Error::Input`] for scores that are not positive.
pub(crate) fn threshold_of_held_out(scores: &[Vec<f32>], rate: f64) -> Result<FalseAlarms> {
    let images = images_of(scores, rate)?;
    if let Some(score) = scores.iter().flatten().find(|score| **score <= 0.0) {
        return Err(refusal("scores", "positive numbers", score.to_string()));
    }
    let logarithms: Vec<Vec<f32>> =
        scores.iter().map(|copies| copies.iter().map(|score| score.ln()).collect()).collect();
    let (threshold, interval) = beyond(Family::Normal, &logarithms, HELD_OUT, rate)?;
    Ok(FalseAlarms { threshold: threshold.exp(), rate, interval, method: Method::LogNormal, images })
}

fn refusal(what: &str, expected: &str, found: String) -> Error {
    Error::Input { what: what.to_owned(), expected: expected.to_owned(), found }
}

/// How many images there are scores of, where rate and scores are sound.
fn images_of(scores: &[Vec<f32>], rate: f64) -> Result<usize> {
    if !(rate > 0.0 && rate <= 0.5) {
        return Err(refusal("false-alarm rate", "more than 0 and at most 0.5", rate.to_string()));
    }
    let images = scores.iter().filter(|copies| !copies.is_empty()).count();
    if images < 2 {
        return Err(refusal("normal images", "at least 2", images.to_string()));
    }
    match scores.iter().flatten().find(|score| !score.is_finite()) {
        Some(score) => Err(refusal("scores", "finite numbers", score.to_string())),
        None => Ok(images),
    }
}

/// What is known of a deviation before anything is measured: as much as so many measurements would tell. With one that
/// is measured it gives the moderated deviation of Smyth, "Linear models and empirical Bayes methods for assessing
/// differential expression in microarray experiments", 2004, section 3.
#[derive(Clone, Copy)]
struct Prior {
    deviation: f64,
    freedom: usize,
}

/// Of the logarithms of scores of photographs that were held out. The deviations of 13 models, each taught from eight
/// photographs of screws, magnetic tiles or generated flanges, are 0.04 to 0.23; by the equations of the paper's
/// section 6.2 that is a prior of 0.074 and 3.2. It is rounded up, so that rather fewer good parts fail.
const HELD_OUT: Prior = Prior { deviation: 0.1, freedom: 4 };

impl Prior {
    const NONE: Self = Self { deviation: 0.0, freedom: 0 };

    fn moderate(self, deviation: f64, count: usize) -> f64 {
        let [own, measured] = [self.freedom as f64, count as f64 - 1.0];
        ((own * self.deviation.powi(2) + measured * deviation.powi(2)) / (own + measured)).sqrt()
    }
}

/// The value that a share `rate` of a family's distribution is expected to exceed, and the interval of that share.
fn beyond(family: Family, values: &[Vec<f32>], prior: Prior, rate: f64) -> Result<(f32, [f64; 2])> {
    let Spread { mean, deviation, independent } = Spread::of(values);
    let deviation = prior.moderate(deviation, independent);
    if deviation <= 0.0 {
        return Err(refusal("scores of normal images", "scores that differ", format!("{mean} for all")));
    }
    let Bound { deviations, interval } = Bound::simulate(family, independent, prior.freedom, rate);
    Ok(((mean + deviations * deviation) as f32, interval))
}

/// The quantile of the share of a distribution above the `rank`th largest of `count` independent samples, which is
/// distributed as Beta(rank, count + 1 - rank).
fn rank_quantile(count: usize, rank: usize, quantile: f64) -> f64 {
    // P(Beta(k, n + 1 - k) <= x) = P(Binomial(n, x) >= k)
    bisect(0.0, 1.0, |share| 1.0 - binomial_below(count, rank, share) >= quantile)
}

/// The probability of less than `limit` successes in `count` trials.
fn binomial_below(count: usize, limit: usize, share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return f64::from(share <= 0.0);
    }
    let mut logarithm = count as f64 * (1.0 - share).ln();
    let mut sum = 0.0;
    for successes in 0..limit {
        sum += logarithm.exp();
        let odds = (count - successes) as f64 / (successes + 1) as f64 * share / (1.0 - share);
        logarithm += odds.ln();
    }
    sum
}

/// Where `reached` turns true on the way from `low` to `high`.
fn bisect(mut low: f64, mut high: f64, reached: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if reached(middle) { high = middle } else { low = middle }
    }
    high
}

/// What scores of images and their copies say together.
struct Spread {
    mean: f64,
    deviation: f64,
    /// How many independent images they count as.
    independent: usize,
}

impl Spread {
    fn of(scores: &[Vec<f32>]) -> Self {
        let groups: Vec<Vec<f64>> = scores
            .iter()
            .filter(|copies| !copies.is_empty())
            .map(|copies| copies.iter().map(|&score| f64::from(score)).collect())
            .collect();
        let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let squares = |values: &[f64], mean: f64| values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let all: Vec<f64> = groups.concat();
        let (images, count) = (groups.len() as f64, all.len() as f64);
        let mean = mean_of(&all);
        let within: f64 = groups.iter().map(|group| squares(group, mean_of(group))).sum();
        let total = squares(&all, mean);
        let copies = count / images;
        // One-way analysis of variance: how alike the copies of one image are.
        let between_mean = (total - within) / (images - 1.0);
        let within_mean = if count > images { within / (count - images) } else { 0.0 };
        let alike = (between_mean - within_mean) / (between_mean + (copies - 1.0) * within_mean);
        let alike = if alike.is_nan() { 1.0 } else { alike.clamp(0.0, 1.0) };
        let independent = (count / (1.0 + (copies - 1.0) * alike)).clamp(images, count);
        // The variance of a single score is that between images and that within.
        let between = ((between_mean - within_mean) / copies).max(0.0);
        let variance = if count > images { between + within_mean } else { total / (count - 1.0) };
        Self { mean, deviation: variance.sqrt(), independent: independent as usize }
    }
}

/// What values are taken to be distributed as, but for their place and width.
#[derive(Clone, Copy)]
enum Family {
    /// The largest of many values (Gumbel's distribution).
    Gumbel,
    Normal,
}

impl Family {
    fn sample(self, random: &mut SplitMix) -> f64 {
        match self {
            Self::Gumbel => -(-random.uniform().ln()).ln(),
            // Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958.
            Self::Normal => (-2.0 * random.uniform().ln()).sqrt() * (TAU * random.uniform()).cos(),
        }
    }

    /// The share of the distribution above a value.
    fn above(self, value: f64) -> f64 {
        match self {
            Self::Gumbel => -f64::exp_m1(-f64::exp(-value)),
            Self::Normal => 0.5 * libm::erfc(value / SQRT_2),
        }
    }
}

/// A bound of samples at their mean plus so many deviations.
struct Bound {
    deviations: f64,
    /// The bounds between which the rate lies over all samples.
    interval: [f64; 2],
}

impl Bound {
    /// The bound that meets `rate` on average over samples of `count`, the deviation of which is steadied by as much as
    /// `known` values tell besides. The simulation is always the same.
    fn simulate(family: Family, count: usize, known: usize, rate: f64) -> Self {
        let samples = (4_000_000 / count).clamp(1000, 20_000);
        let mut random = SplitMix(1);
        let statistics: Vec<(f64, f64)> = (0..samples)
            .map(|_| {
                let values: Vec<f64> = (0..count).map(|_| family.sample(&mut random)).collect();
                let mean = values.iter().sum::<f64>() / count as f64;
                let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                // Where the deviation is itself distributed as the prior says, in units of the true one.
                let known_squares = (0..known).map(|_| family.sample(&mut random).powi(2)).sum::<f64>();
                (mean, ((squares + known_squares) / ((count + known) as f64 - 1.0)).sqrt())
            })
            .collect();
        let above = |deviations: f64, (mean, deviation): (f64, f64)| family.above(mean + deviations * deviation);
        let average =
            |deviations: f64| statistics.iter().map(|&sample| above(deviations, sample)).sum::<f64>() / samples as f64;
        let deviations = bisect(-10.0, 1e6, |deviations| average(deviations) <= rate);
        let mut rates: Vec<f64> = statistics.iter().map(|&sample| above(deviations, sample)).collect();
        rates.sort_by(f64::total_cmp);
        let quantile = |share: f64| rates[((share * samples as f64) as usize).min(samples - 1)];
        Self { deviations, interval: [(1.0 - CONFIDENCE) / 2.0, (1.0 + CONFIDENCE) / 2.0].map(quantile) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single(scores: impl IntoIterator<Item = f64>) -> Vec<Vec<f32>> {
        scores.into_iter().map(|score| vec![score as f32]).collect()
    }

    #[test]
    fn quantiles_of_ranks() {
        // scipy.stats.beta.ppf([.05, .95], 1, 99) and (3, 71)
        let expected = [(99, 1, [0.000_517_980, 0.029_806_674]), (73, 3, [0.011_293_450, 0.083_740_863])];
        for (count, rank, expected) in expected {
            for (quantile, expected) in [0.05, 0.95].into_iter().zip(expected) {
                let found = rank_quantile(count, rank, quantile);
                assert!((found - expected).abs() < 1e-6, "{found}, not {expected}");
            }
        }
    }

    #[test]
    fn ranks() {
        let scores = single((0..99).map(f64::from));
        let found = threshold_for(&scores, 0.05).expect("enough images");
        assert_eq!((found.threshold, found.rate, found.method), (94.0, 0.05, Method::Rank));
        let found = threshold_for(&scores, 0.01).expect("just enough images");
        assert_eq!((found.threshold, found.rate), (98.0, 0.01));
        assert_eq!(threshold_for(&scores, 0.009).expect("by extrapolation").method, Method::ExtremeValue);
    }

    #[test]
    fn ranks_keep_their_promise_whatever_the_distribution() {
        const CALIBRATIONS: usize = 1000;
        let mut random = SplitMix(77);
        let (mut inside, mut sum) = (0, 0.0);
        for _ in 0..CALIBRATIONS {
            let scores = single((0..60).map(|_| random.uniform().powi(2)));
            let found = threshold_for(&scores, 0.05).expect("sound scores");
            let truth = 1.0 - f64::from(found.threshold).sqrt();
            inside += usize::from((found.interval[0]..=found.interval[1]).contains(&truth));
            sum += truth;
        }
        let (inside, mean) = (inside as f64 / CALIBRATIONS as f64, sum / CALIBRATIONS as f64);
        assert!((inside - CONFIDENCE).abs() < 0.03, "{inside}");
        assert!((mean - 3.0 / 61.0).abs() < 0.003, "{mean}");
    }

    #[test]
    fn extrapolation_keeps_its_promise_for_extreme_values() {
        const CALIBRATIONS: usize = 2000;
        let Bound { deviations, interval } = Bound::simulate(Family::Gumbel, 20, 0, 0.01);
        let mut random = SplitMix(77);
        let rates: Vec<f64> = (0..CALIBRATIONS)
            .map(|_| {
                let scores = single((0..20).map(|_| 5.0 - 0.1 * (-random.uniform().ln()).ln()));
                let Spread { mean, deviation, .. } = Spread::of(&scores);
                let threshold = mean + deviations * deviation;
                -f64::exp_m1(-f64::exp(-(threshold - 5.0) / 0.1))
            })
            .collect();
        let mean = rates.iter().sum::<f64>() / CALIBRATIONS as f64;
        assert!((mean - 0.01).abs() < 0.001, "{mean}");
        let inside = rates.iter().filter(|rate| (interval[0]..=interval[1]).contains(rate)).count();
        assert!((inside as f64 / CALIBRATIONS as f64 - CONFIDENCE).abs() < 0.03, "{inside}");
    }

    /// exp(m + t s sqrt(1 + 1 / n)) with `scipy.stats.t.ppf(0.95, n + 3)`, where s is the root of the mean of 4 times
    /// 0.1 squared and n - 1 times the scores' own variance.
    #[test]
    fn a_few_that_were_held_out_bound_the_next_as_student_says() {
        let scores = single([1.0, 1.2, 1.1, 1.5, 0.9, 1.3, 1.05, 1.25]);
        let found = threshold_of_held_out(&scores, 0.05).expect("eight scores");
        assert_eq!((found.method, found.images), (Method::LogNormal, 8));
        assert!((found.threshold / 1.5083 - 1.0).abs() < 0.005, "{found:?}");
        assert!(found.interval[0] < 0.01 && found.interval[1] > 0.1, "{found:?}: eight say little");
        for (pair, expected) in [([1.0, 1.05], 1.2820), ([1.0, 1.0], 1.2470)] {
            let found = threshold_of_held_out(&single(pair), 0.05).expect("two scores");
            assert!((found.threshold / expected - 1.0).abs() < 0.005, "{found:?}");
        }
        let refused = threshold_of_held_out(&single([1.0, 0.0]), 0.05).expect_err("no logarithm").to_string();
        assert!(refused.contains("positive"), "{refused}");
    }

    #[test]
    fn copies_count_by_how_much_they_differ() {
        let images = [1.0_f32, 2.0, 3.0, 5.0];
        let alone = images.map(|score| vec![score]);
        let same = images.map(|score| vec![score; 9]);
        let independent = [vec![1.0, 2.0, 3.0], vec![2.0, 3.0, 1.0], vec![3.0, 1.0, 2.0]];
        assert_eq!(Spread::of(&alone).independent, 4);
        assert_eq!(Spread::of(&same).independent, 4, "copies without difference add nothing");
        assert_eq!(Spread::of(&independent).independent, 9, "copies as different as images count as such");
        let [alone, same] = [alone, same].map(|scores| threshold_for(&scores, 0.01).expect("four images").threshold);
        assert!((alone - same).abs() < 1e-4, "{alone}, {same}");
        let two = threshold_for(&[vec![1.0], vec![2.0]], 0.01).expect("two will do, with a high bound");
        assert!(two.threshold > 2.0 * alone && two.interval[0] < 1e-9, "{two:?}: hardly anything is known");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refusal = |scores: &[Vec<f32>], rate| threshold_for(scores, rate).expect_err("unusable").to_string();
        assert!(refusal(&[vec![1.0]], 0.01).contains("at least 2"));
        assert!(refusal(&[vec![1.0], vec![1.0]], 0.01).contains("scores that differ"));
        assert!(refusal(&[vec![1.0], vec![f32::NAN]], 0.01).contains("finite"));
        assert!(refusal(&[vec![1.0], vec![2.0]], 0.0).contains("false-alarm rate"));
    }
}
