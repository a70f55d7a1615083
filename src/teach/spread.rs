//! How widely a few values spread.

/// Mean and standard deviation (n - 1) of values, of which there are 2 or more.
pub(super) fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    [mean, (squares / (count - 1.0)).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `numpy.mean` and `numpy.std(ddof=1)`.
    #[test]
    fn as_numpy() {
        let [mean, deviation] = mean_and_deviation([1.0, 5.0, 3.0, 5.0].into_iter());
        assert!(mean == 3.5 && (deviation - 1.914_854_215_512_676_5).abs() < 1e-12, "{mean}, {deviation}");
    }
}
