// One anomaly map of the levels' distances. Each level's are divided by what good parts have there, then by the image's
// own low quantile, as far as good parts' quantiles go (light and focus change all distances of an image alike), and
// the levels are added by weight. An image that is more uneven than good parts, by the mean of a level over its
// quantile, is raised by the square of how much (the levels' geometric mean): what differs in large areas would hide
// in its own quantile. One workgroup an image.
//
//   distances_k  [batch][positions], of level k
//   normal       [levels][positions], reciprocals of good parts' distances
//   levels       [levels] of (weight, lowest quantile, highest quantile, reciprocal of how uneven good parts are)
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

// Values are told apart by 4 bits at a time, a digit of 16: of every digit and level, how many values that begin like
// the quantile have which.
const DIGITS: u32 = 8u;
const LEVELS: u32 = 3u;
const BINS: u32 = 16u;
var<workgroup> counts: array<atomic<u32>, DIGITS * LEVELS * BINS>;

// Each level's value with `rank` values before it in rising order. Non-negative floats order like their bits, which are
// found from the highest down.
fn quantiles(image: u32, lane: u32) -> vec3<f32> {
    for (var i = lane; i < DIGITS * LEVELS * BINS; i += INVOCATIONS) {
        atomicStore(&counts[i], 0u);
    }
    workgroupBarrier();
    var found = vec3(0u);
    var ranks = vec3(params.rank);
    for (var digit = DIGITS; digit > 0u; digit--) {
        let shift = 4u * (digit - 1u);
        let bins = (digit - 1u) * LEVELS * BINS;
        for (var level = 0u; level < params.levels; level++) {
            for (var i = lane; i < params.positions; i += INVOCATIONS) {
                // Smaller than BINS where all higher digits are those found.
                let bits = bitcast<u32>(relative(level, image, i));
                if (bits ^ found[level]) >> shift < BINS {
                    atomicAdd(&counts[bins + level * BINS + (bits >> shift) % BINS], 1u);
                }
            }
        }
        workgroupBarrier();
        for (var level = 0u; level < params.levels; level++) {
            var bin = 0u;
            var before = 0u;
            var count = atomicLoad(&counts[bins + level * BINS]);
            while before + count <= ranks[level] && bin < BINS - 1u {
                before += count;
                bin++;
                count = atomicLoad(&counts[bins + level * BINS + bin]);
            }
            ranks[level] -= before;
            found[level] |= bin << shift;
        }
    }
    return bitcast<vec3<f32>>(found);
}

// The levels' sums.
alias Value = vec3<f32>;

fn joined(a: vec3<f32>, b: vec3<f32>) -> vec3<f32> {
    return a + b;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let image = workgroup.x;
    let quantile = quantiles(image, lane);
    var sums = vec3(0.0);
    for (var level = 0u; level < params.levels; level++) {
        for (var i = lane; i < params.positions; i += INVOCATIONS) {
            sums[level] += relative(level, image, i);
        }
    }
    let means = reduce(lane, sums) / f32(params.positions);
    var scale = vec3(0.0);
    var uneven = 1.0;
    for (var level = 0u; level < params.levels; level++) {
        let bounds = levels[level];
        let unit = clamp(quantile[level], bounds.y, bounds.z);
        scale[level] = bounds.x / unit;
        uneven *= max(1.0, means[level] / unit * bounds.w);
    }
    scale *= pow(uneven, 2.0 / f32(params.levels));
    for (var i = lane; i < params.positions; i += INVOCATIONS) {
        var sum = 0.0;
        for (var level = 0u; level < params.levels; level++) {
            sum += scale[level] * relative(level, image, i);
        }
        out[image * params.positions + i] = sum;
    }
}
