use super::Maps;

/// PyTorch's `align_corners`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corners {
    /// `False`: the edges of the first and the last pixel coincide.
    Edges,
    /// `True`: the centres of the first and the last pixel coincide.
    Centers,
}

/// `torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=...)`.
pub fn resize(x: &Maps, [out_height, out_width]: [usize; 2], corners: Corners) -> Maps {
    let [batch, height, width, channels] = x.shape;
    Maps::from_fn([batch, out_height, out_width, channels], |[image, y, column, channel]| {
        let (top, bottom, down) = taps(y, height, out_height, corners);
        let (left, right, across) = taps(column, width, out_width, corners);
        let row = |y| (1.0 - across) * x.at([image, y, left, channel]) + across * x.at([image, y, right, channel]);
        (1.0 - down) * row(top) + down * row(bottom)
    })
}

/// The two pixels an output lies between, and the second one's share.
pub(super) fn taps(position: usize, size: usize, out_size: usize, corners: Corners) -> (usize, usize, f64) {
    let source = match corners {
        Corners::Edges => ((position as f64 + 0.5) * size as f64 / out_size as f64 - 0.5).max(0.0),
        Corners::Centers => position as f64 * (size - 1) as f64 / (out_size - 1).max(1) as f64,
    };
    let low = (source as usize).min(size - 1);
    (low, (low + 1).min(size - 1), source - low as f64)
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `interpolate(torch.tensor([0., 1., 4.]), 5, mode="bilinear")`, both ways, along rows that are all alike.
    #[test]
    fn as_pytorch() {
        let x = Maps::from_fn([1, 2, 3, 1], |[_, _, x, _]| [0.0, 1.0, 4.0][x]);
        let rows = |corners| resize(&x, [2, 5], corners).values[..5].to_vec();
        let close = |a: Vec<f32>, b: [f32; 5]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(rows(Corners::Edges), [0.0, 0.4, 1.0, 2.8, 4.0]));
        assert!(close(rows(Corners::Centers), [0.0, 0.5, 1.0, 2.5, 4.0]));
    }

    /// From `interpolate(x, (3, 2), mode="bilinear")`, taller and narrower.
    #[test]
    fn both_axes_as_pytorch() {
        let out = resize(&sample([1, 2, 3, 2]), [3, 2], Corners::Edges);
        assert_eq!(out.shape, [1, 3, 2, 2]);
        assert_eq!(out.values, [-4.25, 2.75, 0.25, -1.0, -1.125, 1.75, -0.75, -2.0, 2.0, 0.75, -1.75, -3.0]);
    }
}
