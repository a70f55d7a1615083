use super::Maps;

/// `((x - center) ** 2).sum(dim=1)`: one value for each pixel.
pub fn square_norm(x: &Maps, center: &[f32]) -> Vec<f32> {
    let squared = |(&value, &center): (&f32, &f32)| (f64::from(value) - f64::from(center)).powi(2);
    x.values.chunks_exact(x.shape[3]).map(|pixel| pixel.iter().zip(center).map(squared).sum::<f64>() as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `((x - torch.tensor([1., -2]).view(1, 2, 1, 1)) ** 2).sum(dim=1)`.
    #[test]
    fn as_pytorch() {
        assert_eq!(square_norm(&sample([1, 1, 3, 2]), &[1.0, -2.0]), [52.0, 58.0, 1.0]);
    }
}
