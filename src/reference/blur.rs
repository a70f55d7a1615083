use super::Maps;

/// `scipy.ndimage.gaussian_filter(x, sigma, truncate=truncate, mode="reflect")` of single-channel maps.
pub fn blur(x: &Maps, sigma: f64, truncate: f64) -> Maps {
    let radius = (truncate * sigma + 0.5) as i64;
    let weight = |offset: i64| (-0.5 * (offset * offset) as f64 / (sigma * sigma)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    let [_, height, width, _] = x.shape;
    let taps = move || (-radius..=radius).map(move |offset| (offset, weight(offset) / sum));
    let down = Maps::from_fn(x.shape, |[image, y, column, _]| {
        taps().map(|(offset, weight)| weight * x.at([image, mirror(y as i64 + offset, height), column, 0])).sum()
    });
    Maps::from_fn(x.shape, |[image, y, column, _]| {
        taps().map(|(offset, weight)| weight * down.at([image, y, mirror(column as i64 + offset, width), 0])).sum()
    })
}

/// d c b a | a b c d | d c b a: steps back at each end until the position lies inside.
fn mirror(mut position: i64, size: usize) -> usize {
    let size = size as i64;
    while !(0..size).contains(&position) {
        position = if position < 0 { -1 - position } else { 2 * size - 1 - position };
    }
    position as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `scipy.ndimage.gaussian_filter(numpy.eye(3), 1)`.
    #[test]
    fn as_scipy() {
        let eye = Maps::from_fn([1, 3, 3, 1], |[_, y, x, _]| f64::from(u8::from(y == x)));
        let expected = [0.502_41, 0.329_17, 0.168_41, 0.329_17, 0.341_65, 0.329_17, 0.168_41, 0.329_17, 0.502_41];
        for (value, expected) in blur(&eye, 1.0, 4.0).values.into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-5, "{value}, expected {expected}");
        }
    }
}
