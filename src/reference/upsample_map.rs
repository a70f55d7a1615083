use super::{Corners, Maps, resize};

/// `interpolate(x, out_size, mode="bilinear", align_corners=True)` of square single-channel maps.
pub fn upsample_map(x: &Maps, out_size: usize) -> Maps {
    resize(x, [out_size; 2], Corners::Centers)
}
