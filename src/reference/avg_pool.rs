use super::{Maps, Window};

/// `torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)`: zeros outside count.
pub fn avg_pool(x: &Maps) -> Maps {
    let [_, height, width, _] = x.shape;
    let window = Window::even(3, 1, 1, [height, width]);
    Maps::from_fn(x.shape, |[image, y, column, channel]| {
        let sources = (0..9).filter_map(|tap| window.source([y, column], [tap / 3, tap % 3], [height, width]));
        sources.map(|[y, column]| x.at([image, y, column, channel])).sum::<f64>() / 9.0
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `avg_pool2d(9 * x, 3, stride=1, padding=1)`.
    #[test]
    fn as_pytorch() {
        let out = avg_pool(&sample([1, 3, 3, 2]).map(|value| 9.0 * value));
        let rows =
            [[-7.0, 10.0, -7.0, 2.0, -6.0, 0.0], [0.0, 9.0, -3.0, 5.0, -4.0, 5.0], [7.0, 2.0, 3.0, 1.0, -3.0, 3.0]];
        assert_eq!(out.values, rows.concat());
    }
}
