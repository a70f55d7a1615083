use super::Maps;

/// A photograph in other poses and other light, normalised: `[poses][side][side][4]`, the fourth channel 0.
///
/// `pixels` are `[height][width]` 8-bit RGBA, red in the lowest byte. Each of the `poses` is `[a, b, c, gain, d, e, f,
/// offset]`: the output pixel with centre `(x, y)` takes the photograph's point `(a x + b y + c, d x + e y + f)`,
/// bilinearly between pixel centres, beyond which the edge goes on; values from 0 to 1 become `gain * value + offset`,
/// clipped to 0 to 1.
pub fn warp(
    pixels: &[u32],
    [height, width]: [usize; 2],
    poses: &[[f32; 8]],
    side: usize,
    mean: [f32; 3],
    deviation: [f32; 3],
) -> Maps {
    let value = |y: f64, x: f64, channel: usize| {
        let row = y.clamp(0.0, (height - 1) as f64) as usize;
        let column = x.clamp(0.0, (width - 1) as f64) as usize;
        f64::from(pixels[row * width + column].to_le_bytes()[channel]) / 255.0
    };
    Maps::from_fn([poses.len(), side, side, 4], |[pose, row, column, channel]| {
        if channel == 3 {
            return 0.0;
        }
        let [a, b, c, gain, d, e, f, offset] = poses[pose].map(f64::from);
        let (x, y) = (column as f64 + 0.5, row as f64 + 0.5);
        let (x, y) = (a * x + b * y + c - 0.5, d * x + e * y + f - 0.5);
        let (left, top) = (x.floor(), y.floor());
        let along =
            |row: f64| value(row, left, channel) * (1.0 - (x - left)) + value(row, left + 1.0, channel) * (x - left);
        let sampled = along(top) * (1.0 - (y - top)) + along(top + 1.0) * (y - top);
        let lit = (gain * sampled + offset).clamp(0.0, 1.0);
        (lit - f64::from(mean[channel])) / f64::from(deviation[channel])
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::assert_close;
    use super::*;

    const PIXELS: [u32; 6] = [0, 10, 20, 30, 40, 50];
    const AS_IT_IS: [f32; 8] = [1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0];

    /// Red values of a photograph 3 wide and 2 high in one pose, in levels of 255.
    fn reds(pose: [f32; 8], side: usize) -> Vec<f32> {
        let maps = warp(&PIXELS, [2, 3], &[pose], side, [0.0; 3], [1.0; 3]);
        maps.values.chunks_exact(4).map(|pixel| 255.0 * pixel[0]).collect()
    }

    /// By hand; beyond the photograph its edge goes on.
    #[test]
    fn as_it_is_and_turned() {
        assert_close(&reds(AS_IT_IS, 3), &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 30.0, 40.0, 50.0]);
        let mirrored = [-1.0, 0.0, 3.0, 1.0, 0.0, 1.0, 0.0, 0.0];
        assert_close(&reds(mirrored, 2), &[20.0, 10.0, 50.0, 40.0]);
        let quarter_turn = [0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        assert_close(&reds(quarter_turn, 2), &[0.0, 30.0, 10.0, 40.0]);
    }

    #[test]
    fn half_a_pixel_on_and_in_other_light() {
        let shifted = [1.0, 0.0, 0.5, 1.0, 0.0, 1.0, 0.0, 0.0];
        assert_close(&reds(shifted, 2), &[5.0, 15.0, 35.0, 45.0]);
        let lit = [1.0, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, -10.0 / 255.0];
        assert_close(&reds(lit, 2), &[0.0, 10.0, 50.0, 70.0]);
    }

    #[test]
    fn normalised() {
        let maps = warp(&PIXELS, [2, 3], &[AS_IT_IS], 1, [0.25; 3], [0.5; 3]);
        assert_close(&maps.values, &[-0.5, -0.5, -0.5, 0.0]);
    }
}
