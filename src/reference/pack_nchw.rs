use super::Maps;

/// Three planes `[batch][3][height][width]` to channels last, with a zero channel: `permute(0, 2, 3, 1)`.
pub fn pack_nchw(planes: &[f32], [batch, height, width]: [usize; 3]) -> Maps {
    Maps::from_fn([batch, height, width, 4], |[image, y, x, channel]| match channel {
        3 => 0.0,
        _ => f64::from(planes[((image * 3 + channel) * height + y) * width + x]),
    })
}
