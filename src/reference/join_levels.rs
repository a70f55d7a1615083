use super::Maps;

/// The levels' distances `[batch][grid][grid]` as one map: the sum of `weight * x / clamp(q, low, high)` with `x =
/// distances * normal`, where `q` is the value of an image's `x` with `rank` values before it in rising order. `normal`
/// holds `[levels][grid][grid]`, `bounds` weight, low, high and evenness of each level. An image's sum is multiplied by
/// the square of the levels' geometric mean of `evenness * mean of x / clamp(q, low, high)`, or 1 where that is less.
pub fn join_levels(distances: &[Maps], normal: &[f32], bounds: &[[f32; 4]], rank: usize) -> Maps {
    let shape @ [batch, height, width, _] = distances[0].shape;
    let positions = height * width;
    let mut sums = vec![0.0; batch * positions];
    let mut uneven = vec![1.0; batch];
    for (index, (level, &[weight, low, high, evenness])) in distances.iter().zip(bounds).enumerate() {
        let normal = &normal[index * positions..][..positions];
        let images = level.values.chunks_exact(positions).zip(sums.chunks_exact_mut(positions));
        for ((image, sums), uneven) in images.zip(&mut uneven) {
            let relative: Vec<f64> = image.iter().zip(normal).map(|(&d, &n)| f64::from(d) * f64::from(n)).collect();
            let mut rising = relative.clone();
            rising.sort_by(f64::total_cmp);
            let unit = rising[rank].clamp(low.into(), high.into());
            let mean = relative.iter().sum::<f64>() / positions as f64;
            *uneven *= (f64::from(evenness) * mean / unit).max(1.0);
            sums.iter_mut().zip(relative).for_each(|(sum, value)| *sum += f64::from(weight) / unit * value);
        }
    }
    for (sums, uneven) in sums.chunks_exact_mut(positions).zip(uneven) {
        let raised: f64 = uneven.powf(2.0 / distances.len() as f64);
        sums.iter_mut().for_each(|sum| *sum *= raised);
    }
    Maps { shape, values: sums.into_iter().map(|sum| sum as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: quantiles 2 (of 1, 2, 3, 4) and 6 (of 4, 6, 8, 16), the second held to 4.
    #[test]
    fn levels_are_added_in_units_of_their_quantiles() {
        let level = |values: [f32; 4]| Maps { shape: [1, 2, 2, 1], values: values.into() };
        let distances = [level([4.0, 1.0, 3.0, 2.0]), level([8.0, 4.0, 12.0, 16.0])];
        let normal = [[1.0; 4], [1.0, 1.0, 0.5, 1.0]].concat();
        let out = join_levels(&distances, &normal, &[[1.0, 0.5, 9.0, 0.0], [2.0, 1.0, 4.0, 0.0]], 1);
        assert_eq!(out.values, [2.0 + 4.0, 0.5 + 2.0, 1.5 + 3.0, 1.0 + 8.0]);
    }

    /// By hand: the mean 2.5 is 1.25 of the quantile 2; of two levels that are as uneven, one of which may be.
    #[test]
    fn an_uneven_image_is_raised() {
        let level = Maps { shape: [1, 2, 2, 1], values: vec![4.0, 1.0, 3.0, 2.0] };
        let out = |evenness: &[f32]| {
            let bounds: Vec<[f32; 4]> = evenness.iter().map(|evenness| [1.0, 0.5, 9.0, *evenness]).collect();
            let levels = vec![level.clone(); bounds.len()];
            join_levels(&levels, &vec![1.0; 4 * bounds.len()], &bounds, 1).values[1]
        };
        assert_eq!((out(&[0.8]), out(&[0.5]), out(&[1.6])), (0.5, 0.5, 2.0));
        assert_eq!(out(&[1.6, 0.8]), 2.0);
    }
}
