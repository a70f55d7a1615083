use super::Maps;

/// The interpolation points of F(4x4, 3x3): 0, +-P, +-Q and infinity, as in `shaders/shared/winograd4_points.wgsl`.
const P: f64 = 0.625;
const Q: f64 = 1.5;
const P_2: f64 = P * P;
const Q_2: f64 = Q * Q;

/// B^T of Winograd's F(2x2, 3x3).
const B_T_2: [[f64; 4]; 4] =
    [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]];

/// A^T of F(2x2, 3x3).
const A_T_2: [[f64; 4]; 2] = [[1.0, 1.0, 1.0, 0.0], [0.0, 1.0, -1.0, -1.0]];

/// B^T of F(4x4, 3x3): each row the coefficients of the product of (x - point) over all finite points but one.
const B_T_4: [[f64; 6]; 6] = [
    [P_2 * Q_2, 0.0, -P_2 - Q_2, 0.0, 1.0, 0.0],
    [0.0, -P * Q_2, -Q_2, P, 1.0, 0.0],
    [0.0, P * Q_2, -Q_2, -P, 1.0, 0.0],
    [0.0, -Q * P_2, -P_2, Q, 1.0, 0.0],
    [0.0, Q * P_2, -P_2, -Q, 1.0, 0.0],
    [0.0, P_2 * Q_2, 0.0, -P_2 - Q_2, 0.0, 1.0],
];

/// A^T of F(4x4, 3x3): the points to the powers 0 to 3.
const A_T_4: [[f64; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, P, -P, Q, -Q, 0.0],
    [0.0, P_2, P_2, Q_2, Q_2, 0.0],
    [0.0, P * P_2, -P * P_2, Q * Q_2, -Q * Q_2, 1.0],
];

/// The input transform of F(2x2, 3x3): `B^T d B` of every 4 x 4 patch d, 2 apart, of the image with a border of zeros:
/// `[16][batch * tiles down * tiles across][channels]`.
pub fn winograd2_input(x: &Maps) -> Vec<f32> {
    input_transform(x, &B_T_2)
}

/// The input transform of F(4x4, 3x3): 6 x 6 patches, 4 apart, `[36][batch * tiles down * tiles across][channels]`.
pub fn winograd4_input(x: &Maps) -> Vec<f32> {
    input_transform(x, &B_T_4)
}

fn input_transform<const SIDE: usize>(x: &Maps, b_t: &[[f64; SIDE]; SIDE]) -> Vec<f32> {
    let tile = SIDE - 2;
    let [batch, height, width, channels] = x.shape;
    let (down, across) = (height.div_ceil(tile), width.div_ceil(tile));
    let inside = |image: usize, y: usize, column: usize, channel: usize| {
        let present = (1..=height).contains(&y) && (1..=width).contains(&column);
        if present { x.at([image, y - 1, column - 1, channel]) } else { 0.0 }
    };
    let shape = [SIDE * SIDE, batch * down, across, channels];
    let patches = Maps::from_fn(shape, |[position, tile_row, tile_x, channel]| {
        let (image, tile_y) = (tile_row / down, tile_row % down);
        let taps = (0..SIDE * SIDE).map(|tap| (tap / SIDE, tap % SIDE));
        let products = taps.map(|(row, column)| {
            let value = inside(image, tile * tile_y + row, tile * tile_x + column, channel);
            b_t[position / SIDE][row] * b_t[position % SIDE][column] * value
        });
        products.sum()
    });
    patches.values
}

/// The output transform of F(2x2, 3x3): `A^T m A` of every patch m of `[16][batch * tiles down * tiles
/// across][channels]`, 2 x 2 pixels of the output, whose shape is given.
pub fn winograd2_output(products: &[f32], shape: [usize; 4]) -> Maps {
    output_transform(products, shape, &A_T_2)
}

/// The output transform of F(4x4, 3x3): of `[36][batch * tiles down * tiles across][channels]`, 4 x 4 pixels a patch.
pub fn winograd4_output(products: &[f32], shape: [usize; 4]) -> Maps {
    output_transform(products, shape, &A_T_4)
}

fn output_transform<const SIDE: usize, const TILE: usize>(
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
    use super::super::{Window, conv2d};
    use super::*;

    /// From `B.T @ numpy.pad([[1, 2], [3, 4]], 1) @ B`.
    #[test]
    fn input_as_numpy() {
        let x = Maps { shape: [1, 2, 2, 1], values: vec![1.0, 2.0, 3.0, 4.0] };
        let expected = [4.0, -7.0, -1.0, -3.0, -6.0, 10.0, 2.0, 4.0, -2.0, 4.0, 0.0, 2.0, -2.0, 3.0, 1.0, 1.0];
        assert_eq!(winograd2_input(&x), expected);
    }

    /// Position 5 of the four patches of an odd image, whose last row and column of patches reach past it.
    #[test]
    fn patches_in_rows() {
        let x = Maps::from_fn([1, 3, 3, 1], |[_, y, x, _]| (3 * y + x + 1) as f64);
        assert_eq!(winograd2_input(&x)[20..24], [12.0, 9.0, 15.0, 9.0]);
    }

    /// From `A.T @ (numpy.arange(16) ** 2).reshape(4, 4) @ A`.
    #[test]
    fn output_as_numpy() {
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
        // Products of a point's differences from all other finite ones.
        const AT_0: f64 = P_2 * Q_2;
        const AT_P: f64 = 2.0 * P_2 * (P_2 - Q_2);
        const AT_Q: f64 = 2.0 * Q_2 * (Q_2 - P_2);
        let g = [
            [1.0 / AT_0, 0.0, 0.0],
            [1.0 / AT_P, P / AT_P, P_2 / AT_P],
            [1.0 / AT_P, -P / AT_P, P_2 / AT_P],
            [1.0 / AT_Q, Q / AT_Q, Q_2 / AT_Q],
            [1.0 / AT_Q, -Q / AT_Q, Q_2 / AT_Q],
            [0.0, 0.0, 1.0],
        ];
        completes_a_convolution(&g, winograd4_input, winograd4_output);
    }
}
