use super::{Corners, Maps, resize};

/// `interpolate(x, out_size, mode="bilinear", align_corners=...)` of square single-channel maps.
pub fn upsample_map(x: &Maps, out_size: usize, corners: Corners) -> Maps {
    resize(x, [out_size; 2], corners)
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `interpolate(x, 3, mode="bilinear", align_corners=True)`.
    #[test]
    fn as_pytorch() {
        let out = upsample_map(&sample([1, 2, 2, 1]), 3, Corners::Centers);
        assert_eq!(out.values, [-5.0, -1.5, 2.0, -3.5, 0.0, 3.5, -2.0, 1.5, 5.0]);
    }
}
