use super::Maps;

/// Three planes `[batch][3][height][width]` to channels last, with a zero channel: `permute(0, 2, 3, 1)`.
pub fn pack_nchw(planes: &[f32], [batch, height, width]: [usize; 3]) -> Maps {
    Maps::from_fn([batch, height, width, 4], |[image, y, x, channel]| match channel {
        3 => 0.0,
        _ => f64::from(planes[((image * 3 + channel) * height + y) * width + x]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `torch.arange(12.).view(2, 3, 1, 2).permute(0, 2, 3, 1)`, each pixel with a zero after it.
    #[test]
    fn as_pytorch() {
        let planes: Vec<f32> = (0..12).map(|value| value as f32).collect();
        let out = pack_nchw(&planes, [2, 1, 2]);
        assert_eq!(out.shape, [2, 1, 2, 4]);
        assert_eq!(out.values, [0.0, 2.0, 4.0, 0.0, 1.0, 3.0, 5.0, 0.0, 6.0, 8.0, 10.0, 0.0, 7.0, 9.0, 11.0, 0.0]);
    }
}
