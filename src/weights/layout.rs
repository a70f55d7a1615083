//! Weights in the order the kernels read them: input channels as rows, output channels as columns.

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

/// A 3 x 3 convolution's weights, output x input x 3 x 3, transformed for Winograd's F(2x2, 3x3): `G g G^T` in f64, as
/// `[16][input][output]`.
pub(crate) fn winograd(weight: &[f32], outputs: usize, inputs: usize) -> Vec<f32> {
    const G: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];
    let plane = inputs * outputs;
    let mut matrices = vec![0.0; 16 * plane];
    for output in 0..outputs {
        for input in 0..inputs {
            let kernel = &weight[(output * inputs + input) * 9..][..9];
            let place = input * outputs + output;
            for (row, down) in G.iter().enumerate() {
                let across: [f64; 3] =
                    std::array::from_fn(|x| (0..3).map(|y| down[y] * f64::from(kernel[3 * y + x])).sum());
                for (column, g) in G.iter().enumerate() {
                    let value: f64 = (0..3).map(|x| across[x] * g[x]).sum();
                    matrices[(4 * row + column) * plane + place] = value as f32;
                }
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
        let expected: Vec<f32> = g.iter().flat_map(|a| g.iter().map(move |b| a * b)).collect();
        assert_eq!(winograd(&[1.0; 9], 1, 1), expected);
    }
}
