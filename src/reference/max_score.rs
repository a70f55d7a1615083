use super::Maps;

/// `x.amax(dim=(1, 2, 3))`.
pub fn max_score(x: &Maps) -> Vec<f32> {
    let [_, height, width, channels] = x.shape;
    x.values.chunks_exact(height * width * channels).map(|map| map.iter().copied().fold(f32::MIN, f32::max)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `x.amax(dim=(1, 2, 3))`, of a map all negative too.
    #[test]
    fn as_pytorch() {
        let x = Maps { shape: [2, 1, 2, 1], values: vec![0.5, 2.0, -3.0, -1.5] };
        assert_eq!(max_score(&x), [2.0, -1.5]);
    }
}
