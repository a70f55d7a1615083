use super::{Corners, Maps, resize};

/// Two resizes of square maps with `align_corners=True`, first to side `through`, then to `out_size`.
pub fn resize_through(x: &Maps, through: usize, out_size: usize) -> Maps {
    resize(&resize(x, [through; 2], Corners::Centers), [out_size; 2], Corners::Centers)
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `interpolate(interpolate(x, 2), 3)`, both bilinear with `align_corners=True`: less than `x` itself, which
    /// has side 3, for 2 pixels a side hold only its corners.
    #[test]
    fn as_pytorch() {
        let out = resize_through(&sample([1, 3, 3, 2]), 2, 3);
        let rows = [
            [-5.0, 2.0, -2.0, -0.5, 1.0, -3.0],
            [-1.5, 0.0, -1.25, 0.25, -1.0, 0.5],
            [2.0, -2.0, -0.5, 1.0, -3.0, 4.0],
        ];
        assert_eq!(out.values, rows.concat());
    }
}
