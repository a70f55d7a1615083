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
