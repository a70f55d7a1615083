//! Weights in the order the kernels read them: input channels as rows, output channels as columns.

use crate::gpu::Winograd;

/// A convolution's weights, output x input x height x width, as `[height][width][input][output]`, with the input
/// channels padded by zeros to `padded_inputs`.
pub(crate) fn rows_of_inputs(
    weight: &[f32],
    [outputs, inputs, height, width]: [usize; 4],
    padded_inputs: usize,
) -> Vec<f32> {
    let taps = height * width;
    let mut matrix = vec![0.0; taps * padded_inputs * outputs];
    for output in 0..outputs {
        for input in 0..inputs {
            for tap in 0..taps {
                let value = weight[(output * inputs + input) * taps + tap];
                matrix[(tap * padded_inputs + input) * outputs + output] = value;
            }
        }
    }
    matrix
}

/// Part of the input channels of a 1 x 1 convolution, output x input, as `[input][output]`.
pub(crate) fn some_inputs(weight: &[f32], inputs: usize, range: std::ops::Range<usize>) -> Vec<f32> {
    let outputs = weight.len() / inputs;
    range.flat_map(|input| (0..outputs).map(move |output| weight[output * inputs + input])).collect()
}

/// A 3 x 3 convolution's weights, output x input x 3 x 3, transformed for one of Winograd's algorithms, `G g G^T` in f64:
/// row `row` of the square of positions, `[side][input][output]`.
pub(crate) fn winograd_row(winograd: Winograd, row: usize, weight: &[f32], [outputs, inputs]: [usize; 2]) -> Vec<f32> {
    match winograd {
        Winograd::F2x2 => transformed_row(&F2X2, row, weight, [outputs, inputs]),
        Winograd::F4x4 => transformed_row(&f4x4(), row, weight, [outputs, inputs]),
    }
}

/// G of F(2x2, 3x3).
const F2X2: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// G of F(4x4, 3x3) with the interpolation points of `shaders/winograd4_input.wgsl`: a row for each point x, its powers over
/// the product of its differences from the other finite points, and the last for infinity.
fn f4x4() -> [[f64; 3]; 6] {
    const POINTS: [f64; 5] = [0.0, 0.625, -0.625, 1.5, -1.5];
    std::array::from_fn(|row| match POINTS.get(row) {
        Some(&x) => {
            let others = POINTS.iter().filter(|&&other| other != x);
            let product: f64 = others.map(|other| x - other).product();
            [1.0 / product, x / product, x * x / product]
        }
        None => [0.0, 0.0, 1.0],
    })
}

fn transformed_row<const SIDE: usize>(
    g: &[[f64; 3]; SIDE],
    row: usize,
    weight: &[f32],
    [outputs, inputs]: [usize; 2],
) -> Vec<f32> {
    let plane = inputs * outputs;
    let mut matrices = vec![0.0; SIDE * plane];
    let down = g[row];
    for output in 0..outputs {
        for input in 0..inputs {
            let kernel = &weight[(output * inputs + input) * 9..][..9];
            let across: [f64; 3] =
                std::array::from_fn(|x| (0..3).map(|y| down[y] * f64::from(kernel[3 * y + x])).sum());
            for (column, right) in g.iter().enumerate() {
                let value: f64 = (0..3).map(|x| across[x] * right[x]).sum();
                matrices[column * plane + input * outputs + output] = value as f32;
            }
        }
    }
    matrices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_become_rows() {
        // 2 outputs, 1 input, 1 x 2: padded to 2 inputs.
        assert_eq!(rows_of_inputs(&[1.0, 2.0, 3.0, 4.0], [2, 1, 1, 2], 2), [1.0, 3.0, 0.0, 0.0, 2.0, 4.0, 0.0, 0.0]);
        assert_eq!(some_inputs(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3, 1..3), [2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn winograd_of_a_constant_kernel() {
        // G (1 1 1)^T = (1, 1.5, 0.5, 1).
        let g = [1.0, 1.5, 0.5, 1.0];
        for (row, down) in g.iter().enumerate() {
            let found = winograd_row(Winograd::F2x2, row, &[1.0; 9], [1, 1]);
            assert_eq!(found, g.map(|right| down * right));
        }
    }
}
