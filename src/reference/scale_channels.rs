use super::Maps;

/// `x * factors[:, :, None, None]` with factors `[batch][channels]`: what `torch.nn.Dropout2d` does in training.
pub fn scale_channels(x: &Maps, factors: &[f32]) -> Maps {
    let channels = x.shape[3];
    Maps::from_fn(x.shape, |place| {
        let [image, .., channel] = place;
        x.at(place) * f64::from(factors[image * channels + channel])
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `x * torch.tensor([[2., 0], [0.5, -1]])[:, :, None, None]`.
    #[test]
    fn as_pytorch() {
        let out = scale_channels(&sample([2, 1, 2, 2]), &[2.0, 0.0, 0.5, -1.0]);
        assert_eq!(out.values, [-10.0, 0.0, -4.0, 0.0, 0.5, 3.0, 2.0, 0.0]);
    }
}
