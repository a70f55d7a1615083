use super::Maps;

/// Which channels of each pixel the `nearest` smallest are, in ascending order; of equal ones the first come first.
pub fn nearest_ranks(squared: &Maps, nearest: usize) -> Vec<usize> {
    let candidates = squared.shape[3];
    let ranks = |pixel: &[f32]| {
        let mut order: Vec<usize> = (0..candidates).collect();
        order.sort_by(|&a, &b| pixel[a].total_cmp(&pixel[b]).then(a.cmp(&b)));
        order.truncate(nearest);
        order
    };
    squared.values.chunks_exact(candidates).flat_map(ranks).collect()
}

/// The gradient of descriptors from that of their distances `dy` to the prototypes of `indices`, as many for each
/// pixel; `prototypes` is D x P. At a distance of 0 it is 0.
pub fn nearest_gradient(phi: &Maps, prototypes: &[f32], indices: &[usize], dy: &Maps) -> Maps {
    let [_, height, width, channels] = phi.shape;
    let (count, nearest) = (prototypes.len() / channels, dy.shape[3]);
    let differences = |place: [usize; 3], index: usize| {
        let column = prototypes[index..].iter().step_by(count);
        phi.pixel(place).iter().zip(column).map(|(&a, &b)| f64::from(a) - f64::from(b)).collect::<Vec<_>>()
    };
    Maps::from_fn(phi.shape, |[image, y, column, channel]| {
        let first = ((image * height + y) * width + column) * nearest;
        let terms = indices[first..][..nearest].iter().enumerate().map(|(rank, &index)| {
            let differences = differences([image, y, column], index);
            let distance = differences.iter().map(|difference| difference * difference).sum::<f64>().sqrt();
            let unit = if distance > 0.0 { differences[channel] / distance } else { 0.0 };
            dy.at([image, y, column, rank]) * unit
        });
        terms.sum()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::assert_close;
    use super::*;

    /// From `v, i = torch.cdist(phi, C.T).topk(2, largest=False)`, `(v * dy).sum().backward()` with `phi = [[1, 2], [3,
    /// -1]]`, `C = [[0, 1, 3], [2, 0, 4]]`, `dy = [[1, 2], [3, 4]]`.
    #[test]
    fn as_pytorch() {
        let phi = Maps { shape: [1, 1, 2, 2], values: vec![1.0, 2.0, 3.0, -1.0] };
        let prototypes = [0.0, 1.0, 3.0, 2.0, 0.0, 4.0];
        let indices = nearest_ranks(&super::super::distances(&phi, &prototypes), 2);
        assert_eq!(indices, [0, 1, 1, 0]);
        let dy = Maps { shape: [1, 1, 2, 2], values: vec![1.0, 2.0, 3.0, 4.0] };
        let found = nearest_gradient(&phi, &prototypes, &indices, &dy);
        assert_close(&found.values, &[1.0, 2.0, 5.511_708_7, -4.170_068]);
    }

    #[test]
    fn no_gradient_at_a_prototype_and_equals_in_order() {
        let phi = Maps { shape: [1, 1, 1, 2], values: vec![1.0, 2.0] };
        let dy = Maps { shape: [1, 1, 1, 1], values: vec![5.0] };
        assert_eq!(nearest_gradient(&phi, &[0.0, 1.0, 0.0, 2.0], &[1], &dy).values, [0.0, 0.0]);
        let squared = Maps { shape: [1, 1, 1, 4], values: vec![2.0, 1.0, 1.0, 1.0] };
        assert_eq!(nearest_ranks(&squared, 2), [1, 2]);
    }
}
