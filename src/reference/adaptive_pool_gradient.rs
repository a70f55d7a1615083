use super::Maps;

/// The gradient of [`adaptive_pool`](super::adaptive_pool()) with respect to its input of `size` x `size`, from that
/// of its output: each window hands the same share to all its pixels.
pub fn adaptive_pool_gradient(dy: &Maps, size: usize) -> Maps {
    let [batch, out_size, _, channels] = dy.shape;
    let window = |index: usize| size * index / out_size..(size * (index + 1)).div_ceil(out_size);
    Maps::from_fn([batch, size, size, channels], |[image, y, column, channel]| {
        let windows = (0..out_size).flat_map(|row| (0..out_size).map(move |place| (row, place)));
        let around = windows.filter(|(row, place)| window(*row).contains(&y) && window(*place).contains(&column));
        let shares = around
            .map(|(row, place)| dy.at([image, row, place, channel]) / (window(row).len() * window(place).len()) as f64);
        shares.sum()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::*;

    /// From `adaptive_avg_pool2d(x, 3).backward(dy)` of 5 x 5, whose windows overlap.
    #[test]
    fn as_pytorch() {
        let rows = [
            [-1.25, -0.916_666_7, 0.333_333_3, -0.166_666_7, -0.5],
            [-0.416_666_7, 0.027_777_8, 0.444_444_4, -0.555_555_6, -1.0],
            [0.833_333_3, 0.944_444_4, 0.111_111_1, -0.388_888_9, -0.5],
            [1.833_333_3, 1.944_444_4, 0.111_111_1, -1.388_889, -1.5],
            [1.0, 1.0, 0.0, -1.0, -1.0],
        ];
        assert_close(&adaptive_pool_gradient(&sample([1, 3, 3, 1]), 5).values, &rows.concat());
    }
}
