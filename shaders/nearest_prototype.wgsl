// The distance of each position to its nearest prototype, sqrt(|phi|^2 + min(|C|^2 - 2 phi . C)). One workgroup four
// positions: a prototype's norm is loaded once for them, and the loads of its invocations lie side by side.
//
//   products         [positions][prototypes / 4] vec4s, phi . C
//   position_norms   |phi|^2 of all positions, read from first_position on
//   prototype_norms  [prototypes / 4] vec4s, |C|^2
//   out              distances of all positions, written from first_position on
#import channels
#import products

struct Params {
    // In vec4s.
    prototypes: u32,
    first_position: u32,
    positions: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> position_norms: array<f32>;
@group(0) @binding(3) var<storage, read> prototype_norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const LANES: u32 = 64u;
const POSITIONS: u32 = 4u;

// Of four positions.
var<workgroup> least: array<vec4<f32>, LANES>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Past the last position the last is computed again.
    let position = min(workgroup.x * POSITIONS + vec4(0u, 1u, 2u, 3u), vec4(params.positions - 1u));
    var smallest_0 = vec4(3e38);
    var smallest_1 = smallest_0;
    var smallest_2 = smallest_0;
    var smallest_3 = smallest_0;
    for (var i = lane; i < params.prototypes; i += LANES) {
        let norms = prototype_norms[i];
        smallest_0 = min(smallest_0, fma(vec4(-2.0), products_at(position.x, params.prototypes, i), norms));
        smallest_1 = min(smallest_1, fma(vec4(-2.0), products_at(position.y, params.prototypes, i), norms));
        smallest_2 = min(smallest_2, fma(vec4(-2.0), products_at(position.z, params.prototypes, i), norms));
        smallest_3 = min(smallest_3, fma(vec4(-2.0), products_at(position.w, params.prototypes, i), norms));
    }
    least[lane] = vec4(
        least_of_channels(smallest_0),
        least_of_channels(smallest_1),
        least_of_channels(smallest_2),
        least_of_channels(smallest_3),
    );
    for (var step = LANES / 2u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step {
            least[lane] = min(least[lane], least[lane + step]);
        }
    }
    workgroupBarrier();
    let own = workgroup.x * POSITIONS + lane;
    if lane < POSITIONS && own < params.positions {
        let norm = position_norms[params.first_position + own];
        out[params.first_position + own] = sqrt(max(norm + least[0][lane], 0.0));
    }
}
