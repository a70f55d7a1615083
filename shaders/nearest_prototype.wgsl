// The distance of each position to its nearest prototype, sqrt(|phi|^2 + min(|C|^2 - 2 phi . C)). One workgroup a
// position.
//
//   products         [positions][prototypes / 4] vec4s, phi . C
//   position_norms   |phi|^2 of all positions, read from first_position on
//   prototype_norms  [prototypes / 4] vec4s, |C|^2
//   out              distances of all positions, written from first_position on
#import channels
#import reduce

struct Params {
    // In vec4s.
    prototypes: u32,
    first_position: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> position_norms: array<f32>;
@group(0) @binding(3) var<storage, read> prototype_norms: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const INVOCATIONS: u32 = 64u;

alias Value = f32;

fn joined(a: f32, b: f32) -> f32 {
    return min(a, b);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = workgroup.x * params.prototypes;
    var smallest = vec4(3e38);
    for (var i = lane; i < params.prototypes; i += INVOCATIONS) {
        smallest = min(smallest, prototype_norms[i] - 2.0 * products[first + i]);
    }
    let least = reduce(lane, least_of_channels(smallest));
    if lane == 0u {
        let position = params.first_position + workgroup.x;
        out[position] = sqrt(max(position_norms[position] + least, 0.0));
    }
}
