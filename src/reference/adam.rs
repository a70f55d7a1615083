/// The state of one value under Adam with amsgrad.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AdamState {
    /// The value itself.
    pub value: f64,
    /// Running means of its gradient, of the gradient's square, and the largest of the latter so far.
    pub moments: [f64; 3],
}

/// The `step`th step (from 1 on) of `torch.optim.Adam([value], lr=rate, weight_decay=weight_decay, amsgrad=True)`.
pub fn adam(state: AdamState, gradient: f64, step: i32, rate: f64, weight_decay: f64) -> AdamState {
    let AdamState { value, moments: [mean, square, largest] } = state;
    let gradient = gradient + weight_decay * value;
    let mean = 0.9 * mean + 0.1 * gradient;
    let square = 0.999 * square + 0.001 * gradient * gradient;
    let largest = largest.max(square);
    let corrected = [mean / (1.0 - 0.9_f64.powi(step)), largest / (1.0 - 0.999_f64.powi(step))];
    AdamState { value: value - rate * corrected[0] / (corrected[1].sqrt() + 1e-8), moments: [mean, square, largest] }
}

#[cfg(test)]
mod tests {
    use super::super::testing::assert_close;
    use super::*;

    /// From three steps of `torch.optim.Adam([p], lr=0.01, weight_decay=0.1, amsgrad=True)`.
    #[test]
    fn as_pytorch() {
        let gradients = [[1.0, -0.5, 0.0], [0.1, 0.2, 3.0], [-4.0, 0.3, -0.05]];
        let mut states = [1.0, -2.0, 0.5].map(|value| AdamState { value, ..AdamState::default() });
        for (step, gradients) in (1..).zip(gradients) {
            for (state, gradient) in states.iter_mut().zip(gradients) {
                *state = adam(*state, gradient, step, 0.01, 0.1);
            }
        }
        assert_close(&states.map(|state| state.value as f32), &[0.986_538_36, -1.979_114_9, 0.476_620_1]);
        assert_close(&states.map(|state| state.moments[2] as f32), &[0.016_471_122, 0.000_499_358, 0.009_298_898]);
        assert!(states[2].moments[1] < states[2].moments[2]);
    }
}
