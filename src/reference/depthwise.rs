use super::{Maps, Window};

/// `torch.nn.functional.conv2d(x, weight, bias, groups=channels)`; `weight` is channels x 1 x kernel x kernel.
pub fn depthwise(x: &Maps, weight: &[f32], bias: &[f32], window: Window) -> Maps {
    let [batch, height, width, channels] = x.shape;
    let taps = window.kernel * window.kernel;
    let [out_height, out_width] = window.out;
    Maps::from_fn([batch, out_height, out_width, channels], |[image, y, column, channel]| {
        let products = (0..taps).filter_map(|tap| {
            let place = [tap / window.kernel, tap % window.kernel];
            let [source_y, source_x] = window.source([y, column], place, [height, width])?;
            Some(x.at([image, source_y, source_x, channel]) * f64::from(weight[channel * taps + tap]))
        });
        f64::from(bias[channel]) + products.sum::<f64>()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `conv2d(pad(x, (0, 1, 0, 1)), torch.arange(18.).view(2, 1, 3, 3), torch.tensor([1., 2.]), stride=2,
    /// groups=2)`: an even side under TensorFlow's padding has its zeros below and to the right only.
    #[test]
    fn as_pytorch() {
        let weight: Vec<f32> = (0..18).map(|value| value as f32).collect();
        let out = depthwise(&sample([1, 4, 4, 2]), &weight, &[1.0, 2.0], Window::same(3, 2, 4));
        assert_eq!(out.shape, [1, 2, 2, 2]);
        assert_eq!(out.values, [1.0, -41.0, 14.0, -19.0, 25.0, 8.0, -8.0, 52.0]);
    }
}
