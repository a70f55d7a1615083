use super::{Maps, Window};

/// `torch.nn.functional.max_pool2d(x, 3, stride=2, padding=1)`.
pub fn max_pool(x: &Maps) -> Maps {
    let [batch, height, width, channels] = x.shape;
    let window = Window::even(3, 2, 1, [height, width]);
    let [out_height, out_width] = window.out;
    Maps::from_fn([batch, out_height, out_width, channels], |[image, y, column, channel]| {
        let sources = (0..9).filter_map(|tap| window.source([y, column], [tap / 3, tap % 3], [height, width]));
        sources.map(|[y, column]| x.at([image, y, column, channel])).fold(f64::NEG_INFINITY, f64::max)
    })
}
