// One anomaly map of the levels' distances. Each level's are divided by what good parts have there, then by the image's
// own low quantile, as far as good parts' quantiles go (light and focus change all distances of an image alike), and
// the levels are added by weight. One workgroup an image.
//
//   distances_k  [batch][positions], of level k
//   normal       [levels][positions], reciprocals of good parts' distances
//   levels       [levels] of (weight, lowest quantile, highest quantile, 0)
//   out          [batch][positions]
#import reduce

struct Params {
    positions: u32,
    levels: u32,
    // Of a level's values in rising order, the place of the quantile.
    rank: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> distances_1: array<f32>;
@group(0) @binding(2) var<storage, read> distances_2: array<f32>;
@group(0) @binding(3) var<storage, read> distances_3: array<f32>;
@group(0) @binding(4) var<storage, read> normal: array<f32>;
@group(0) @binding(5) var<storage, read> levels: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;

const INVOCATIONS: u32 = 256u;

alias Value = u32;

fn joined(a: u32, b: u32) -> u32 {
    return a + b;
}

fn relative(level: u32, image: u32, position: u32) -> f32 {
    let index = image * params.positions + position;
    var distance = distances_1[index];
    if level == 1u {
        distance = distances_2[index];
    } else if level == 2u {
        distance = distances_3[index];
    }
    return distance * normal[level * params.positions + position];
}

// How many of a level's values, as bits, are below `bound`.
fn count_below(level: u32, image: u32, lane: u32, bound: u32) -> u32 {
    var count = 0u;
    for (var i = lane; i < params.positions; i += INVOCATIONS) {
        count += select(0u, 1u, bitcast<u32>(relative(level, image, i)) < bound);
    }
    return reduce(lane, count);
}

// The value with `rank` values before it in rising order. Non-negative floats order like their bits, which are found
// from the highest down.
fn quantile(level: u32, image: u32, lane: u32) -> f32 {
    var bits = 0u;
    for (var bit = 1u << 30u; bit > 0u; bit >>= 1u) {
        if count_below(level, image, lane, bits | bit) <= params.rank {
            bits |= bit;
        }
    }
    return bitcast<f32>(bits);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = workgroup.x;
    var scale = vec3(0.0);
    for (var level = 0u; level < params.levels; level++) {
        let bounds = levels[level];
        scale[level] = bounds.x / clamp(quantile(level, image, lane), bounds.y, bounds.z);
    }
    for (var i = lane; i < params.positions; i += INVOCATIONS) {
        var sum = 0.0;
        for (var level = 0u; level < params.levels; level++) {
            sum += scale[level] * relative(level, image, i);
        }
        out[image * params.positions + i] = sum;
    }
}
