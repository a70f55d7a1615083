use super::Maps;

/// `x.amax(dim=(1, 2, 3))`.
pub fn max_score(x: &Maps) -> Vec<f32> {
    let [_, height, width, channels] = x.shape;
    x.values.chunks_exact(height * width * channels).map(|map| map.iter().copied().fold(f32::MIN, f32::max)).collect()
}
