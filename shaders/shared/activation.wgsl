#import activation_storage

// Piecewise linear activations: x above zero, slope * x below, never above the ceiling.
// Identity: slope 1; relu: slope 0; leaky relu: slope 0.01; relu6: slope 0, ceiling 6.
fn activate(x: Channels, slope: f32, ceiling: f32) -> Channels {
    return min(select(slope * x, x, x > Channels(0.0)), Channels(ceiling));
}

// Where a residual joins: params.residual_kind holds one of these.
const RESIDUAL_BEFORE_ACTIVATION: u32 = 1u;
const RESIDUAL_AFTER_ACTIVATION: u32 = 2u;
