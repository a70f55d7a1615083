use super::Maps;

/// A^T of Winograd's F(2x2, 3x3).
const A_T_2: [[f64; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]];

/// A^T of F(4x4, 3x3): the powers of the interpolation points 0, +-5/8, +-3/2 and infinity.
const A_T_4: [[f64; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 0.625, -0.625, 1.5, -1.5, 0.0],
    [0.0, 0.390625, 0.390625, 2.25, 2.25, 0.0],
    [0.0, 0.244140625, -0.244140625, 3.375, -3.375, 1.0],
];

/// The output transform of F(2x2, 3x3): `A^T m A` of every patch m of `[16][batch * tiles down * tiles
/// across][channels]`, 2 x 2 pixels of the output, whose shape is given.
pub fn winograd2_output(products: &[f32], shape: [usize; 4]) -> Maps {
    transformed(products, shape, &A_T_2)
}

/// The output transform of F(4x4, 3x3): of `[36][batch * tiles down * tiles across][channels]`, 4 x 4 pixels a patch.
pub fn winograd4_output(products: &[f32], shape: [usize; 4]) -> Maps {
    transformed(products, shape, &A_T_4)
}

fn transformed<const SIDE: usize, const TILE: usize>(
    products: &[f32],
    shape: [usize; 4],
    a_t: &[[f64; SIDE]; TILE],
) -> Maps {
    let [batch, height, width, channels] = shape;
    let (down, across) = (height.div_ceil(TILE), width.div_ceil(TILE));
    Maps::from_fn(shape, |[image, y, x, channel]| {
        let tile = (image * down + y / TILE) * across + x / TILE;
        let value =
            |position: usize| f64::from(products[(position * batch * down * across + tile) * channels + channel]);
        let weight = |position: usize| a_t[y % TILE][position / SIDE] * a_t[x % TILE][position % SIDE];
        (0..SIDE * SIDE).map(|position| weight(position) * value(position)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, sample};
    use super::super::{Window, conv2d, winograd2_input, winograd4_input};
    use super::*;

    /// From `A.T @ (numpy.arange(16) ** 2).reshape(4, 4) @ A`.
    #[test]
    fn as_numpy() {
        let products: Vec<f32> = (0..16).map(|value| (value * value) as f32).collect();
        assert_eq!(winograd2_output(&products, [1, 2, 2, 1]).values, [327.0, -212.0, -677.0, 332.0]);
    }

    /// Both steps, with products by `G g G^T` of a kernel g between them, are a convolution.
    fn completes_a_convolution<const SIDE: usize>(
        g: &[[f64; 3]; SIDE],
        input: fn(&Maps) -> Vec<f32>,
        output: fn(&[f32], [usize; 4]) -> Maps,
    ) {
        let x = sample([2, 3, 5, 1]);
        let kernel: Vec<f32> = (0..9).map(|value| value as f32).collect();
        let mut products = input(&x);
        let patches = products.len() / (SIDE * SIDE);
        for (position, values) in products.chunks_exact_mut(patches).enumerate() {
            let (row, column) = (position / SIDE, position % SIDE);
            let weight: f64 = (0..9).map(|tap| g[row][tap / 3] * g[column][tap % 3] * f64::from(kernel[tap])).sum();
            values.iter_mut().for_each(|value| *value *= weight as f32);
        }
        // Whole numbers, which products in f32 miss by little.
        let found = output(&products, x.shape).map(|value| (1e3 * value).round() / 1e3);
        let expected = conv2d(&x, &kernel, None, Window::even(3, 1, 1, [3, 5]));
        assert_close(&found.values, &expected.values);
    }

    #[test]
    fn f2x2_completes_a_convolution() {
        let g = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
        completes_a_convolution(&g, winograd2_input, winograd2_output);
    }

    #[test]
    fn f4x4_completes_a_convolution() {
        // 2 p^2 (p^2 - q^2) and 2 q^2 (q^2 - p^2) for the points p = 5/8 and q = 3/2.
        const NEAR: f64 = 2.0 * 0.390625 * (0.390625 - 2.25);
        const FAR: f64 = 2.0 * 2.25 * (2.25 - 0.390625);
        let g = [
            [1.0 / 0.87890625, 0.0, 0.0],
            [1.0 / NEAR, 0.625 / NEAR, 0.390625 / NEAR],
            [1.0 / NEAR, -0.625 / NEAR, 0.390625 / NEAR],
            [1.0 / FAR, 1.5 / FAR, 2.25 / FAR],
            [1.0 / FAR, -1.5 / FAR, 2.25 / FAR],
            [0.0, 0.0, 1.0],
        ];
        completes_a_convolution(&g, winograd4_input, winograd4_output);
    }
}
