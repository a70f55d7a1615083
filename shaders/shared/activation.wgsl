// Piecewise linear activations: x above zero, slope * x below, never above the ceiling.
// Identity: slope 1; relu: slope 0; leaky relu: slope 0.01; relu6: slope 0, ceiling 6.
fn activate(x: vec4<f32>, slope: f32, ceiling: f32) -> vec4<f32> {
    return min(select(slope * x, x, x > vec4(0.0)), vec4(ceiling));
}

// Where a residual joins: params.residual_kind holds one of these.
const RESIDUAL_BEFORE_ACTIVATION: u32 = 1u;
const RESIDUAL_AFTER_ACTIVATION: u32 = 2u;
