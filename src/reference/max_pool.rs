use super::{Maps, Window};

/// `torch.nn.functional.max_pool2d(x, 3, stride=2, padding=1)`.
pub fn max_pool(x: &Maps) -> Maps {
    let [batch, height, width, channels] = x.shape;
    let window = Window::even(3, 2, 1, [height, width]);
    let [out_height, out_width] = window.out;
    Maps::from_fn([batch, out_height, out_width, channels], |[image, y, column, channel]| {
        let sources = (0..9).filter_map(|tap| window.source([y, column], [tap / 3, tap % 3], [height, width]));
        sources.map(|[y, column]| x.at([image, y, column, channel])).fold(f64::NEG_INFINITY, f64::max)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `max_pool2d(x, 3, stride=2, padding=1)`; padding is never the maximum.
    #[test]
    fn as_pytorch() {
        let out = max_pool(&sample([1, 3, 4, 2]));
        assert_eq!(out.shape, [1, 2, 2, 2]);
        assert_eq!(out.values, [-1.0, 5.0, 5.0, 5.0, 0.0, 4.0, 5.0, 2.0]);
    }

    #[test]
    fn padding_is_no_zero() {
        let x = Maps { shape: [1, 2, 2, 1], values: vec![-4.0, -3.0, -2.0, -1.0] };
        assert_eq!(max_pool(&x).values, [-1.0]);
    }
}
