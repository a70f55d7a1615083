use super::Maps;

/// `squared.sqrt().topk(nearest, largest=False, sorted=True)` over each pixel's channels.
pub fn nearest(squared: &Maps, nearest: usize) -> Maps {
    let [batch, height, width, candidates] = squared.shape;
    let values = squared.values.chunks_exact(candidates).flat_map(|pixel| {
        let mut sorted = pixel.to_vec();
        sorted.sort_by(f32::total_cmp);
        sorted.truncate(nearest);
        sorted.into_iter().map(f32::sqrt)
    });
    Maps { shape: [batch, height, width, nearest], values: values.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `torch.tensor([[9., 1, 16, 4], [0.25, 25, 2.25, 36]]).sqrt().topk(3, largest=False, sorted=True)`.
    #[test]
    fn as_pytorch() {
        let squared = Maps { shape: [1, 1, 2, 4], values: vec![9.0, 1.0, 16.0, 4.0, 0.25, 25.0, 2.25, 36.0] };
        let out = nearest(&squared, 3);
        assert_eq!(out.shape, [1, 1, 2, 3]);
        assert_eq!(out.values, [1.0, 2.0, 3.0, 0.5, 1.5, 5.0]);
    }
}
