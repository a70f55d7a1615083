use super::{Maps, Window};

/// `torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)`: zeros outside count.
pub fn avg_pool(x: &Maps) -> Maps {
    let [_, height, width, _] = x.shape;
    let window = Window::even(3, 1, 1, [height, width]);
    Maps::from_fn(x.shape, |[image, y, column, channel]| {
        let sources = (0..9).filter_map(|tap| window.source([y, column], [tap / 3, tap % 3], [height, width]));
        sources.map(|[y, column]| x.at([image, y, column, channel])).sum::<f64>() / 9.0
    })
}
