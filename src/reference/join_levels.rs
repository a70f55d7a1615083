use super::Maps;

/// The levels' distances `[batch][grid][grid]` as one map: the sum of `weight * x / clamp(q, low, high)` with `x =
/// distances * normal`, where `q` is the value of an image's `x` with `rank` values before it in rising order. `normal`
/// holds `[levels][grid][grid]`, `bounds` weight, low and high of each level.
pub fn join_levels(distances: &[Maps], normal: &[f32], bounds: &[[f32; 3]], rank: usize) -> Maps {
    let shape @ [batch, height, width, _] = distances[0].shape;
    let positions = height * width;
    let mut sums = vec![0.0; batch * positions];
    for (index, (level, &[weight, low, high])) in distances.iter().zip(bounds).enumerate() {
        let normal = &normal[index * positions..][..positions];
        for (image, sums) in level.values.chunks_exact(positions).zip(sums.chunks_exact_mut(positions)) {
            let relative: Vec<f64> = image.iter().zip(normal).map(|(&d, &n)| f64::from(d) * f64::from(n)).collect();
            let mut rising = relative.clone();
            rising.sort_by(f64::total_cmp);
            let scale = f64::from(weight) / rising[rank].clamp(low.into(), high.into());
            sums.iter_mut().zip(relative).for_each(|(sum, value)| *sum += scale * value);
        }
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
        let out = join_levels(&distances, &normal, &[[1.0, 0.5, 9.0], [2.0, 1.0, 4.0]], 1);
        assert_eq!(out.values, [2.0 + 4.0, 0.5 + 2.0, 1.5 + 3.0, 1.0 + 8.0]);
    }
}
