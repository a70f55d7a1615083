// What the losses of distances need to know of each image: sums over its positions' three nearest distances, and the
// largest `hardest` of them. One workgroup an image.
//
//   distances   [batch][positions][nearest], ascending; the first 3 of each position count
//   masks       [batch][positions], 1 in pseudo-anomalies and 0 elsewhere
//   roles       [batch][2]: weight of NFC, weight of AFS, whether it takes part in PDC, its target there; how many
//               distances of 0 AFS sees beside these, 0, 0, 0
//   radius      [1]
//   statistics  [batch][3]: the role; excess over the inner radius and how many exceed it, what masked ones lack to the
//               outer radius and how many lack some; mean of the hardest, the least of them, the share that each of
//               those equal to the least has in the mean, the radius
#import reduce

struct Params {
    positions: u32,
    nearest: u32,
    hardest: u32,
    margin: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> distances: array<f32>;
@group(0) @binding(2) var<storage, read> masks: array<f32>;
@group(0) @binding(3) var<storage, read> roles: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> radius: array<f32>;
@group(0) @binding(5) var<storage, read_write> statistics: array<vec4<f32>>;

const INVOCATIONS: u32 = 256u;

alias Value = vec4<f32>;

fn joined(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    return a + b;
}

fn distance_at(image: u32, index: u32) -> f32 {
    return distances[(image * params.positions + index / 3u) * params.nearest + index % 3u];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = workgroup.x;
    let count = 3u * params.positions;
    let inner = radius[0] * radius[0];
    let outer = (radius[0] + params.margin) * (radius[0] + params.margin);
    var excess = vec4(0.0);
    for (var i = lane; i < count; i += INVOCATIONS) {
        let distance = distance_at(image, i);
        let mask = masks[image * params.positions + i / 3u];
        let beyond = max(distance - inner, 0.0);
        let lacking = max(outer - distance, 0.0) * mask;
        excess += vec4(beyond, select(0.0, 1.0, beyond > 0.0), lacking, select(0.0, 1.0, lacking > 0.0));
    }
    let of_radii = reduce(lane, excess);

    // The least of the hardest, bit by bit: the largest value that as many distances reach. They order like their bits.
    var least = 0u;
    for (var bit = 1u << 30u; bit > 0u; bit >>= 1u) {
        var reaching = 0.0;
        for (var i = lane; i < count; i += INVOCATIONS) {
            reaching += select(0.0, 1.0, bitcast<u32>(distance_at(image, i)) >= (least | bit));
        }
        if reduce(lane, vec4(reaching)).x >= f32(params.hardest) {
            least |= bit;
        }
    }
    var above = vec4(0.0);
    for (var i = lane; i < count; i += INVOCATIONS) {
        let distance = distance_at(image, i);
        let bits = bitcast<u32>(distance);
        let is_above = select(0.0, 1.0, bits > least);
        above += vec4(is_above * distance, is_above, select(0.0, 1.0, bits == least), 0.0);
    }
    let hardest = reduce(lane, above);
    if lane == 0u {
        let wanted = f32(params.hardest);
        let value = bitcast<f32>(least);
        let mean = (hardest.x + (wanted - hardest.y) * value) / wanted;
        let naught = roles[2u * image + 1u].x;
        statistics[3u * image] = roles[2u * image];
        statistics[3u * image + 1u] = of_radii + vec4(0.0, 0.0, naught * outer, naught);
        statistics[3u * image + 2u] = vec4(mean, value, (wanted - hardest.y) / (wanted * hardest.z), radius[0]);
    }
}
