use super::Maps;

/// B^T of Winograd's F(2x2, 3x3).
const B_T_2: [[f64; 4]; 4] =
    [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]];

/// B^T of F(4x4, 3x3) with the interpolation points 0, +-5/8, +-3/2 and infinity.
const B_T_4: [[f64; 6]; 6] = [
    [0.87890625, 0.0, -2.640625, 0.0, 1.0, 0.0],
    [0.0, -1.40625, -2.25, 0.625, 1.0, 0.0],
    [0.0, 1.40625, -2.25, -0.625, 1.0, 0.0],
    [0.0, -0.5859375, -0.390625, 1.5, 1.0, 0.0],
    [0.0, 0.5859375, -0.390625, -1.5, 1.0, 0.0],
    [0.0, 0.87890625, 0.0, -2.640625, 0.0, 1.0],
];

/// The input transform of F(2x2, 3x3): `B^T d B` of every 4 x 4 patch d, 2 apart, of the image with a border of zeros:
/// `[16][batch * tiles down * tiles across][channels]`.
pub fn winograd2_input(x: &Maps) -> Vec<f32> {
    transformed(x, &B_T_2)
}

/// The input transform of F(4x4, 3x3): 6 x 6 patches, 4 apart, `[36][batch * tiles down * tiles across][channels]`.
pub fn winograd4_input(x: &Maps) -> Vec<f32> {
    transformed(x, &B_T_4)
}

fn transformed<const SIDE: usize>(x: &Maps, b_t: &[[f64; SIDE]; SIDE]) -> Vec<f32> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// From `B.T @ numpy.pad([[1, 2], [3, 4]], 1) @ B`.
    #[test]
    fn as_numpy() {
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
}
