use super::Maps;

/// `Conv2d(channels, 1, 1)`: `weight` holds one value for each channel.
pub fn project(x: &Maps, weight: &[f32], bias: f32) -> Maps {
    let [batch, height, width, _] = x.shape;
    Maps::from_fn([batch, height, width, 1], |[image, y, column, _]| {
        let products = x.pixel([image, y, column]).iter().zip(weight).map(|(&a, &b)| f64::from(a) * f64::from(b));
        f64::from(bias) + products.sum::<f64>()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `conv2d(x, torch.tensor([2., -1, 3]).view(1, 3, 1, 1), torch.tensor([0.5]))`.
    #[test]
    fn as_pytorch() {
        let out = project(&sample([1, 2, 2, 3]), &[2.0, -1.0, 3.0], 0.5);
        assert_eq!(out.shape, [1, 2, 2, 1]);
        assert_eq!(out.values, [-17.5, 0.5, -3.5, -7.5]);
    }
}
