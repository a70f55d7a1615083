use super::Maps;

/// `torch.nn.functional.adaptive_avg_pool2d(x, out_size)`: output i averages rows floor(size i / n) ..
/// ceil(size (i + 1) / n).
pub fn adaptive_pool(x: &Maps, out_size: usize) -> Maps {
    let [batch, height, width, channels] = x.shape;
    let window = |index: usize, size: usize| size * index / out_size..(size * (index + 1)).div_ceil(out_size);
    Maps::from_fn([batch, out_size, out_size, channels], |[image, y, column, channel]| {
        let (down, across) = (window(y, height), window(column, width));
        let count = down.len() * across.len();
        let places = down.flat_map(|y| across.clone().map(move |x| (y, x)));
        places.map(|(y, column)| x.at([image, y, column, channel])).sum::<f64>() / count as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `adaptive_avg_pool2d(torch.arange(25.).view(1, 1, 5, 5), 3)`, whose windows overlap.
    #[test]
    fn as_pytorch() {
        let x = Maps::from_fn([1, 5, 5, 1], |[_, y, x, _]| (5 * y + x) as f64);
        assert_eq!(adaptive_pool(&x, 3).values, [3.0, 4.5, 6.0, 10.5, 12.0, 13.5, 18.0, 19.5, 21.0]);
    }
}
