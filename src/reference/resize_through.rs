use super::{Corners, Maps, resize};

/// Two resizes of square maps with `align_corners=True`, first to side `through`, then to `out_size`.
pub fn resize_through(x: &Maps, through: usize, out_size: usize) -> Maps {
    resize(&resize(x, [through; 2], Corners::Centers), [out_size; 2], Corners::Centers)
}
