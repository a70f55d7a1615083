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
