use super::Maps;

/// `torch.cdist(phi, C) ** 2`: for each pixel of `descriptors` (D channels) the squared distance to each of the
/// prototypes, D x P.
pub fn distances(descriptors: &Maps, prototypes: &[f32]) -> Maps {
    let [batch, height, width, channels] = descriptors.shape;
    let count = prototypes.len() / channels;
    Maps::from_fn([batch, height, width, count], |[image, y, x, prototype]| {
        let values = prototypes[prototype..].iter().step_by(count);
        let pixel = descriptors.pixel([image, y, x]);
        pixel.iter().zip(values).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `torch.cdist(phi, C.T) ** 2` with `phi = [[1, 2], [3, -1]]`, `C = [[0, 1, 3], [2, 0, 4]]`.
    #[test]
    fn as_pytorch() {
        let phi = Maps { shape: [1, 1, 2, 2], values: vec![1.0, 2.0, 3.0, -1.0] };
        let out = distances(&phi, &[0.0, 1.0, 3.0, 2.0, 0.0, 4.0]);
        assert_eq!(out.shape, [1, 1, 2, 3]);
        assert_eq!(out.values, [1.0, 4.0, 8.0, 18.0, 5.0, 25.0]);
    }
}
