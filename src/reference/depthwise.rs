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
