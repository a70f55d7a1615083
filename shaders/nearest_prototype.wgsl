// The distance of each position to its nearest prototype, sqrt(|phi|^2 + min(|C|^2 - 2 phi . C)). Eight
// invocations a position, whose loads lie side by side, and eight positions a workgroup.
//
//   products         [positions][prototypes / 4] vec4s, phi . C
//   position_norms   |phi|^2 of all positions, read from first_position on
//   prototype_norms  [prototypes / 4] vec4s, |C|^2
//   out              distances of all positions, written from first_position on
#import channels

struct Params {
    // In vec4s.
    prototypes: u32,
    first_position: u32,
    positions: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> position_norms: array<f32>;
@group(0) @binding(3) var<storage, read> prototype_norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const LANES: u32 = 8u;
const POSITIONS: u32 = 8u;

var<workgroup> least: array<f32, LANES * POSITIONS>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) index: u32) {
    let lane = index % LANES;
    let position = workgroup.x * POSITIONS + index / LANES;
    // Past the last position the last is computed again, as all have to come to the barriers.
    let first = min(position, params.positions - 1u) * params.prototypes;
    var smallest = vec4(3e38);
    for (var i = lane; i < params.prototypes; i += LANES) {
        smallest = min(smallest, fma(vec4(-2.0), products[first + i], prototype_norms[i]));
    }
    least[index] = least_of_channels(smallest);
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step {
            least[index] = min(least[index], least[index + step]);
        }
    }
    if lane == 0u && position < params.positions {
        let norm = position_norms[params.first_position + position];
        out[params.first_position + position] = sqrt(max(norm + least[index], 0.0));
    }
}
