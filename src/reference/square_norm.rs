use super::Maps;

/// `((x - center) ** 2).sum(dim=1)`: one value for each pixel.
pub fn square_norm(x: &Maps, center: &[f32]) -> Vec<f32> {
    let squared = |(&value, &center): (&f32, &f32)| (f64::from(value) - f64::from(center)).powi(2);
    x.values.chunks_exact(x.shape[3]).map(|pixel| pixel.iter().zip(center).map(squared).sum::<f64>() as f32).collect()
}
