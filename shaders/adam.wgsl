// A step of Adam (Kingma and Ba, 2015) with amsgrad (Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond",
// 2018) and weight decay in the gradient, as torch.optim.Adam takes it. One invocation a value.
//
//   gradient  [parts][count], whose sum is the gradient
//   rates     for each group of parameters the rate, 1 - beta_1^t, 1 - beta_2^t, 0
//   values    [count]
//   moments   [3][count]: mean gradient, mean square, the largest mean square so far
struct Params {
    count: u32,
    parts: u32,
    group: u32,
    weight_decay: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> rates: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> values: array<f32>;
@group(0) @binding(4) var<storage, read_write> moments: array<f32>;

// PyTorch's defaults.
const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;
// Values of a row of workgroups.
const ROW: u32 = 65536u;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.y * ROW + id.x;
    if i >= params.count {
        return;
    }
    let value = values[i];
    var slope = params.weight_decay * value;
    for (var part = 0u; part < params.parts; part++) {
        slope += gradient[part * params.count + i];
    }
    let mean = mix(moments[i], slope, 1.0 - BETA_1);
    let square = BETA_2 * moments[params.count + i] + (1.0 - BETA_2) * slope * slope;
    let largest = max(moments[2u * params.count + i], square);
    moments[i] = mean;
    moments[params.count + i] = square;
    moments[2u * params.count + i] = largest;
    let rate = rates[params.group];
    values[i] = value - rate.x / rate.y * mean / (sqrt(largest / rate.z) + EPSILON);
}
