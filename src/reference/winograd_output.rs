use super::Maps;

/// A^T of Winograd's F(2x2, 3x3).
const A_T: [[f64; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]];

/// `A^T m A` of every patch m of `[16][batch * tiles down * tiles across][channels]`: 2 x 2 pixels of the output, whose
/// shape is given.
pub fn winograd_output(products: &[f32], shape: [usize; 4]) -> Maps {
    let [batch, height, width, channels] = shape;
    let (down, across) = (height.div_ceil(2), width.div_ceil(2));
    Maps::from_fn(shape, |[image, y, x, channel]| {
        let tile = (image * down + y / 2) * across + x / 2;
        let value =
            |position: usize| f64::from(products[(position * batch * down * across + tile) * channels + channel]);
        (0..16).map(|position| A_T[y % 2][position / 4] * A_T[x % 2][position % 4] * value(position)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::super::{Window, conv2d, winograd_input};
    use super::*;

    /// From `A.T @ (numpy.arange(16) ** 2).reshape(4, 4) @ A`.
    #[test]
    fn as_numpy() {
        let products: Vec<f32> = (0..16).map(|value| (value * value) as f32).collect();
        assert_eq!(winograd_output(&products, [1, 2, 2, 1]).values, [327.0, -212.0, -677.0, 332.0]);
    }

    /// Both steps with the products between them, `G g G^T` of a kernel g, are a convolution.
    #[test]
    fn completes_a_convolution() {
        const G: [[f32; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
        let x = sample([2, 3, 5, 1]);
        let kernel: Vec<f32> = (0..9).map(|value| value as f32).collect();
        let mut products = winograd_input(&x);
        let patches = products.len() / 16;
        for (position, values) in products.chunks_exact_mut(patches).enumerate() {
            let taps = (0..9).map(|tap| G[position / 4][tap / 3] * G[position % 4][tap % 3] * kernel[tap]);
            let weight: f32 = taps.sum();
            values.iter_mut().for_each(|value| *value *= weight);
        }
        let expected = conv2d(&x, &kernel, None, Window::even(3, 1, 1, [3, 5]));
        assert_close(&winograd_output(&products, x.shape).values, &expected.values);
    }
}
