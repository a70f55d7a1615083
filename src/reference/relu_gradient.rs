use super::Maps;

/// The gradient of a relu from that of its output: `dy * (y > base)`, where the output had `base` added to it.
pub fn relu_gradient(y: &Maps, base: &Maps, dy: &Maps) -> Maps {
    Maps::from_fn(y.shape, |place| if y.at(place) > base.at(place) { dy.at(place) } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// Against a small step of the relu's input, at which no value is 0.
    #[test]
    fn as_small_steps() {
        let (x, base, dy) = (sample([1, 2, 3, 2]).map(|x| x + 0.5), sample([1, 2, 3, 2]), sample([1, 2, 3, 2]));
        let y = |shift: f32| x.map(|x| x + shift).relu().plus(&base);
        let found = relu_gradient(&y(0.0), &base, &dy);
        for index in 0..x.values.len() {
            let slope = (y(0.25).values[index] - y(-0.25).values[index]) / 0.5;
            assert_eq!(found.values[index], dy.values[index] * slope);
        }
    }
}
