use super::resize::taps;
use super::{Corners, Maps};

/// The gradient of [`resize`](super::resize()) from `height` x `width` with respect to its input, from that of its
/// output.
pub fn resize_gradient(dy: &Maps, [height, width]: [usize; 2], corners: Corners) -> Maps {
    let [batch, out_height, out_width, channels] = dy.shape;
    let mut sums = vec![0.0_f64; batch * height * width * channels];
    for image in 0..batch {
        for (y, column) in (0..out_height).flat_map(|y| (0..out_width).map(move |column| (y, column))) {
            let (top, bottom, down) = taps(y, height, out_height, corners);
            let (left, right, across) = taps(column, width, out_width, corners);
            for (row, share_down) in [(top, 1.0 - down), (bottom, down)] {
                for (place, share_across) in [(left, 1.0 - across), (right, across)] {
                    let first = ((image * height + row) * width + place) * channels;
                    for (sum, gradient) in sums[first..].iter_mut().zip(dy.pixel([image, y, column])) {
                        *sum += share_down * share_across * f64::from(*gradient);
                    }
                }
            }
        }
    }
    Maps { shape: [batch, height, width, channels], values: sums.into_iter().map(|sum| sum as f32).collect() }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::*;

    /// From `interpolate(x, (3, 5), mode="bilinear", align_corners=...).backward(dy)`.
    #[test]
    fn as_pytorch() {
        let gradient = |corners| resize_gradient(&sample([1, 3, 5, 1]), [2, 3], corners).values;
        assert_close(&gradient(Corners::Edges), &[-4.1, 0.8, 4.3, -4.3, -0.8, 4.1]);
        assert_close(&gradient(Corners::Centers), &[-4.5, 1.5, 4.0, -4.0, -1.5, 4.5]);
    }
}
