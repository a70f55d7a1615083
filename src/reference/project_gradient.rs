use super::Maps;

/// The gradient of [`project`](super::project())'s input from that of its output.
pub fn project_input_gradient(dy: &Maps, weight: &[f32]) -> Maps {
    let [batch, height, width, _] = dy.shape;
    Maps::from_fn([batch, height, width, weight.len()], |[image, y, column, channel]| {
        dy.at([image, y, column, 0]) * f64::from(weight[channel])
    })
}

/// The gradients of [`project`](super::project())'s weights, its bias, and three zeros, for each image.
pub fn project_weight_gradient(x: &Maps, dy: &Maps) -> Vec<f32> {
    let [batch, height, width, channels] = x.shape;
    let gradient = Maps::from_fn([batch, 1, 1, channels + 4], |[image, _, _, channel]| {
        let places = (0..height).flat_map(|y| (0..width).map(move |column| [y, column]));
        let terms = places.map(|[y, column]| {
            let value = match channel {
                weight if weight < channels => x.at([image, y, column, weight]),
                bias if bias == channels => 1.0,
                _ => 0.0,
            };
            value * dy.at([image, y, column, 0])
        });
        terms.sum()
    });
    gradient.values
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// From `conv2d(x, torch.tensor([2., -1, 3]).view(1, 3, 1, 1), torch.tensor([0.5])).backward(dy)`.
    #[test]
    fn as_pytorch() {
        let dy = sample([1, 2, 2, 1]);
        let input = [-10.0, 5.0, -15.0, 4.0, -2.0, 6.0, -4.0, 2.0, -6.0, 10.0, -5.0, 15.0];
        assert_eq!(project_input_gradient(&dy, &[2.0, -1.0, 3.0]).values, input);
        let weight = project_weight_gradient(&sample([1, 2, 2, 3]), &dy);
        assert_eq!(weight, [42.0, -13.0, -13.0, 0.0, 0.0, 0.0, 0.0]);
    }
}
