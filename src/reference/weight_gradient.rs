use super::{Maps, Window};

/// The gradient of a convolution's weights from that of its output; stride 1, padding `kernel / 2`:
/// `torch.nn.grad.conv2d_weight(x, shape, dy, padding=kernel // 2)` in the order `[kernel * kernel][inputs][outputs]`.
pub fn weight_gradient(x: &Maps, dy: &Maps, kernel: usize) -> Vec<f32> {
    let [batch, height, width, inputs] = x.shape;
    let outputs = dy.shape[3];
    let window = Window::even(kernel, 1, kernel / 2, [height, width]);
    let gradient = Maps::from_fn([1, kernel * kernel, inputs, outputs], |[_, tap, input, output]| {
        let rows = (0..batch).flat_map(|image| (0..height).map(move |y| [image, y]));
        let places = rows.flat_map(|[image, y]| (0..width).map(move |column| [image, y, column]));
        let terms = places.filter_map(|[image, y, column]| {
            let [from_y, from_x] = window.source([y, column], [tap / kernel, tap % kernel], [height, width])?;
            Some(x.at([image, from_y, from_x, input]) * dy.at([image, y, column, output]))
        });
        terms.sum()
    });
    gradient.values
}

/// The gradient of a convolution's input from that of its output: the sum over the taps that read a pixel. `weight` is
/// output x input x kernel x kernel; stride 1, padding `kernel / 2`.
pub fn input_gradient(dy: &Maps, weight: &[f32], kernel: usize) -> Maps {
    let [batch, height, width, outputs] = dy.shape;
    let taps = kernel * kernel;
    let inputs = weight.len() / (outputs * taps);
    Maps::from_fn([batch, height, width, inputs], |[image, y, column, input]| {
        let mut sum = 0.0;
        for tap in 0..taps {
            // The output pixel that reads this one under the tap.
            let out_y = (y + kernel / 2).wrapping_sub(tap / kernel);
            let out_x = (column + kernel / 2).wrapping_sub(tap % kernel);
            if out_y < height && out_x < width {
                let weights = (0..outputs).map(|output| weight[(output * inputs + input) * taps + tap]);
                let gradients = dy.pixel([image, out_y, out_x]).iter();
                sum += gradients.zip(weights).map(|(&a, b)| f64::from(a) * f64::from(b)).sum::<f64>();
            }
        }
        sum
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::sample;
    use super::*;

    /// The output's gradient: the sample with its columns in reverse.
    fn gradient() -> Maps {
        let x = sample([2, 2, 3, 2]);
        Maps::from_fn(x.shape, |[image, y, column, channel]| x.at([image, y, 2 - column, channel]))
    }

    /// From `F.conv2d(x, w, padding=1).backward(dy)` with `w = ((torch.arange(36) % 5) - 2.).view(2, 2, 3, 3)`:
    /// `w.grad`.
    #[test]
    fn weights_as_pytorch() {
        let found = weight_gradient(&sample([2, 2, 3, 2]), &gradient(), 3);
        let expected = [
            18.0, 22.0, -36.0, 8.0, 24.0, -56.0, 18.0, 22.0, -36.0, 6.0, -21.0, 14.0, -37.0, 11.0, 56.0, -37.0, 30.0,
            26.0, -37.0, 30.0, 26.0, -37.0, 11.0, 56.0, 6.0, -21.0, 14.0, 4.0, -16.0, -36.0, 24.0, -8.0, -56.0, 4.0,
            -16.0, -36.0,
        ];
        for (index, expected) in expected.into_iter().enumerate() {
            let (output, input, tap) = (index / 18, index / 9 % 2, index % 9);
            let place = (tap * 2 + input) * 2 + output;
            assert_eq!(found[place], expected, "output {output}, input {input}, tap {tap}");
        }
    }

    /// From the same: `x.grad`.
    #[test]
    fn input_as_pytorch() {
        let weight: Vec<f32> = (0..36).map(|index| (index % 5) as f32 - 2.0).collect();
        let expected = [
            -3.0, -17.0, -4.0, 1.0, -11.0, -9.0, 9.0, 0.0, -4.0, 21.0, 8.0, -5.0, 0.0, 9.0, 11.0, 4.0, -11.0, 5.0,
            -17.0, -3.0, 7.0, -15.0, 1.0, 2.0,
        ];
        assert_eq!(input_gradient(&gradient(), &weight, 3).values, expected);
    }
}
