use super::Maps;

/// `Conv2d(channels, 1, 1)`: `weight` holds one value for each channel.
pub fn project(x: &Maps, weight: &[f32], bias: f32) -> Maps {
    let [batch, height, width, _] = x.shape;
    Maps::from_fn([batch, height, width, 1], |[image, y, column, _]| {
        let products = x.pixel([image, y, column]).iter().zip(weight).map(|(&a, &b)| f64::from(a) * f64::from(b));
        f64::from(bias) + products.sum::<f64>()
    })
}
