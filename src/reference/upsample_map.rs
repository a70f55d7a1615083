use super::{Corners, Maps, resize};

/// `interpolate(x, out_size, mode="bilinear", align_corners=True)` of square single-channel maps.
pub fn upsample_map(x: &Maps, out_size: usize) -> Maps {
    resize(x, [out_size; 2], Corners::Centers)
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `interpolate(x, 3, mode="bilinear", align_corners=True)`.
    #[test]
    fn as_pytorch() {
        let out = upsample_map(&sample([1, 2, 2, 1]), 3);
        assert_eq!(out.values, [-5.0, -1.5, 2.0, -3.5, 0.0, 3.5, -2.0, 1.5, 5.0]);
    }
}
