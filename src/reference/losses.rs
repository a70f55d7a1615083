use super::Maps;

/// SEG of each image: the squared error of its map `[batch][side][side]` against its mask (1 in defects, 0 elsewhere),
/// weighted by two weights of the image's, of normal pixels and of those in defects; and the gradient of the sum.
pub fn squared_error(maps: &Maps, masks: &Maps, weights: &[[f32; 2]]) -> (Vec<f32>, Maps) {
    let error = |place| maps.at(place) - masks.at(place);
    let weight = |place: [usize; 4]| f64::from(weights[place[0]][usize::from(masks.at(place) > 0.5)]);
    let gradient = Maps::from_fn(maps.shape, |place| 2.0 * weight(place) * error(place));
    let terms = Maps::from_fn(maps.shape, |place| weight(place) * error(place) * error(place));
    let image = terms.values.len() / maps.shape[0];
    let sum = |terms: &[f32]| terms.iter().map(|&term| f64::from(term)).sum::<f64>() as f32;
    (terms.values.chunks_exact(image).map(sum).collect(), gradient)
}

/// What the losses of distances are to an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossRole {
    /// The weight of what its distances exceed the inner radius by.
    pub compactness: f32,
    /// The weight of what its masked distances lack to the outer radius.
    pub separation: f32,
    /// How many distances of 0 lack all there is to the outer radius, beside the masked ones.
    pub naught: f32,
    /// Its target where it takes part in the softmax over the batch.
    pub disparity: Option<f32>,
}

/// The losses of distances, and their gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct DistanceTerms {
    /// NFC, AFS, PDC.
    pub terms: [f64; 3],
    /// The gradient of NFC + AFS + `factor` PDC with respect to the distances.
    pub gradient: Maps,
    /// The gradient of the same sum with respect to the radius.
    pub radius_gradient: f64,
}

/// NFC, AFS and PDC (section III of the paper) of distances `[batch][grid][grid][K]`, ascending, of which the first
/// three of each position count: `relu(d - r^2)`, `relu((r + margin)^2 - d)` under the masks, and the softmax
/// cross-entropy over the batch of the mean of each image's `hardest` largest.
pub fn distance_losses(
    distances: &Maps,
    masks: &Maps,
    roles: &[LossRole],
    [radius, margin]: [f64; 2],
    hardest: usize,
    factor: f64,
) -> DistanceTerms {
    let positions = distances.shape[1] * distances.shape[2];
    let three = |image: usize| {
        let pixels = distances.values.chunks_exact(distances.shape[3]).skip(image * positions).take(positions);
        let mut values: Vec<f64> = pixels.flat_map(|pixel| pixel[..3].iter().map(|&value| f64::from(value))).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    };
    let hardest = hardest.min(3 * positions);
    let (inner, outer) = (radius * radius, (radius + margin) * (radius + margin));
    let naught: f64 = roles.iter().map(|role| f64::from(role.separation) * f64::from(role.naught)).sum();
    let mut terms = [0.0, naught * outer, 0.0];
    let mut radius_gradient = 2.0 * naught * (radius + margin);
    let sorted: Vec<Vec<f64>> = (0..roles.len()).map(three).collect();
    let means: Vec<f64> = sorted.iter().map(|values| values[..hardest].iter().sum::<f64>() / hardest as f64).collect();
    let taking_part = || roles.iter().zip(&means).filter_map(|(role, &mean)| Some((role.disparity?, mean)));
    let log_sum = taking_part().map(|(_, mean)| mean.exp()).sum::<f64>().ln();
    let targets: f64 = taking_part().map(|(target, _)| f64::from(target)).sum();
    terms[2] = taking_part().map(|(target, mean)| f64::from(target) * (log_sum - mean)).sum();
    let gradient = Maps::from_fn(distances.shape, |[image, y, x, rank]| {
        if rank >= 3 {
            return 0.0;
        }
        let (role, distance) = (roles[image], distances.at([image, y, x, rank]));
        let mut sum = 0.0;
        if distance > inner {
            terms[0] += f64::from(role.compactness) * (distance - inner);
            radius_gradient -= f64::from(role.compactness) * 2.0 * radius;
            sum += f64::from(role.compactness);
        }
        if distance < outer && masks.at([image, y, x, 0]) > 0.5 {
            terms[1] += f64::from(role.separation) * (outer - distance);
            radius_gradient += f64::from(role.separation) * 2.0 * (radius + margin);
            sum -= f64::from(role.separation);
        }
        if let Some(target) = role.disparity {
            let least = sorted[image][hardest - 1];
            let above = sorted[image].iter().filter(|&&value| value > least).count();
            let equal = sorted[image].iter().filter(|&&value| value == least).count();
            // Equals share what is left for them.
            let share = if distance > least {
                1.0
            } else if distance == least {
                (hardest - above) as f64 / equal as f64
            } else {
                0.0
            };
            let of_mean = targets * (means[image] - log_sum).exp() - f64::from(target);
            sum += factor * of_mean * share / hardest as f64;
        }
        sum
    });
    DistanceTerms { terms, gradient, radius_gradient }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::*;

    /// From `losses.balanced_segmentation` of `python/pcsnet_torch` with maps `x / 8` and a mask of
    /// `[[0, 1, 0], [0, 1, 0]]`.
    #[test]
    fn segmentation_as_pytorch() {
        let maps = sample([1, 2, 3, 1]).map(|value| value / 8.0);
        let masks = Maps { shape: [1, 2, 3, 1], values: vec![0.0, 1.0, 0.0, 0.0, 1.0, 0.0] };
        let (loss, gradient) = squared_error(&maps, &masks, &[[0.25, 0.5]]);
        assert_eq!(loss, [0.910_156_25]);
        assert_eq!(gradient.values, [-0.3125, -0.75, -0.125, 0.3125, -0.875, -0.1875]);
    }

    /// From `compactness(d[:1], r) + separation(d[1:], mask, r, 0.4) + 50 * disparity(d, [0, 1])` of
    /// `python/pcsnet_torch/losses.py` with its `HARDEST` set to 5, a radius of 0.7, and a mask of the lower two of the
    /// second image's four positions.
    #[test]
    fn distances_as_pytorch() {
        let values = vec![
            0.25, 0.625, 1.125, 0.5, 1.0, 1.5, 0.375, 0.875, 1.375, 0.25, 0.75, 1.25, //
            0.625, 1.125, 1.5, 0.5, 1.0, 1.375, 0.375, 0.875, 1.25, 0.25, 0.75, 1.125,
        ];
        let distances = Maps { shape: [2, 2, 2, 3], values };
        let masks = Maps { shape: [2, 2, 2, 1], values: vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0] };
        let roles = [
            LossRole { compactness: 1000.0 / 12.0, separation: 0.0, naught: 0.0, disparity: Some(0.0) },
            LossRole { compactness: 0.0, separation: 1000.0 / 6.0, naught: 0.0, disparity: Some(1.0) },
        ];
        let found = distance_losses(&distances, &masks, &roles, [0.7, 0.4], 5, 50.0);
        assert_close(&found.terms.map(|term| term as f32), &[382.5, 445.833_3, 0.680_725_3]);
        let expected = [
            0.0,
            83.333_336,
            88.270_836,
            83.333_336,
            88.270_836,
            88.270_836,
            0.0,
            83.333_336,
            88.270_836,
            0.0,
            83.333_336,
            88.270_836,
            0.0,
            -4.937_503_3,
            -4.937_503_3,
            0.0,
            0.0,
            -4.937_503_3,
            -166.666_67,
            -166.666_67,
            -4.937_503_3,
            -166.666_67,
            -166.666_67,
            -171.604_17,
        ];
        assert_close(&found.gradient.values, &expected);
        assert_close(&[found.radius_gradient as f32], &[783.333_3]);
    }

    /// From `separation_as_coded(d, mask, r)` of `python/pcsnet_torch/losses.py` with `r` 0.7 and distances of 1.5 on a
    /// grid of 4 whose mask leaves 2, 0, 3 and 4 positions of its rows: 2 + 0 + 3 + 3 zeros of 12 smallest.
    #[test]
    fn separation_as_coded() {
        let distances = Maps { shape: [1, 4, 4, 3], values: vec![1.5; 48] };
        let masks = Maps { shape: [1, 4, 4, 1], values: vec![0.0; 16] };
        let role = LossRole { compactness: 0.0, separation: 1000.0 / 12.0, naught: 8.0, disparity: None };
        let found = distance_losses(&distances, &masks, &[role], [0.7, 0.2], 5, 50.0);
        assert_close(&[found.terms[1] as f32, found.radius_gradient as f32], &[540.0, 1200.0]);
        assert_eq!(found.gradient.values, [0.0; 48]);
    }
}
