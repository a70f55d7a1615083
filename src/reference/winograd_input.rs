use super::Maps;

/// B^T of Winograd's F(2x2, 3x3).
const B_T: [[f64; 4]; 4] = [[1.0, 0.0, -1.0, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0, -1.0, 1.0, 0.0], [0.0, 1.0, 0.0, -1.0]];

/// `B^T d B` of every 4 x 4 patch d, 2 apart, of the image with a border of zeros:
/// `[16][batch * tiles down * tiles across][channels]`.
pub fn winograd_input(x: &Maps) -> Vec<f32> {
    let [batch, height, width, channels] = x.shape;
    let (down, across) = (height.div_ceil(2), width.div_ceil(2));
    let inside = |image: usize, y: usize, column: usize, channel: usize| {
        let present = (1..=height).contains(&y) && (1..=width).contains(&column);
        if present { x.at([image, y - 1, column - 1, channel]) } else { 0.0 }
    };
    let transformed = Maps::from_fn([16, batch * down, across, channels], |[position, tile_row, tile_x, channel]| {
        let (image, tile_y) = (tile_row / down, tile_row % down);
        let taps = (0..16).map(|tap| (tap / 4, tap % 4));
        let products = taps.map(|(row, column)| {
            let value = inside(image, 2 * tile_y + row, 2 * tile_x + column, channel);
            B_T[position / 4][row] * B_T[position % 4][column] * value
        });
        products.sum()
    });
    transformed.values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `B.T @ numpy.pad([[1, 2], [3, 4]], 1) @ B`.
    #[test]
    fn as_numpy() {
        let x = Maps { shape: [1, 2, 2, 1], values: vec![1.0, 2.0, 3.0, 4.0] };
        let expected = [4.0, -7.0, -1.0, -3.0, -6.0, 10.0, 2.0, 4.0, -2.0, 4.0, 0.0, 2.0, -2.0, 3.0, 1.0, 1.0];
        assert_eq!(winograd_input(&x), expected);
    }

    /// Position 5 of the four patches of an odd image, whose last row and column of patches reach past it.
    #[test]
    fn patches_in_rows() {
        let x = Maps::from_fn([1, 3, 3, 1], |[_, y, x, _]| (3 * y + x + 1) as f64);
        assert_eq!(winograd_input(&x)[20..24], [12.0, 9.0, 15.0, 9.0]);
    }
}
