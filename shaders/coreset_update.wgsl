// Brings the distances of all rows to a coreset up to date with the candidates just taken into it, and finds the next
// candidates: candidate i is the farthest of the rows i, i + 64, i + 128 .. One workgroup a candidate.
//
//   products    [rows][64 / 4] vec4s, x . x of candidate
//   norms       [rows], |x|^2
//   taken       [64 / 4] vec4s, |x|^2 of the candidates taken, FAR for the others
//   nearest     [rows], squared distance to the nearest chosen row, brought up to date
//   candidates  [64], rows of x
//   reach       [64], squared distance of each candidate to the nearest chosen row
struct Params {
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> products: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> taken: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> nearest: array<f32>;
@group(0) @binding(5) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(6) var<storage, read_write> reach: array<f32>;

const CANDIDATES: u32 = 64u;
const INVOCATIONS: u32 = 256u;
const FAR: f32 = 3e38;
// A distance that rounding may have made of none, as a share of |x|^2: copies of a row are not chosen again.
const SAME: f32 = 1e-6;

struct Farthest {
    squared: f32,
    row: u32,
}

var<workgroup> farthest: array<Farthest, INVOCATIONS>;

fn is_farther(a: Farthest, b: Farthest) -> bool {
    return a.squared > b.squared || (a.squared == b.squared && a.row < b.row);
}

fn squared_distance(row: u32) -> f32 {
    var least = vec4(FAR);
    for (var i = 0u; i < CANDIDATES / 4u; i++) {
        least = min(least, taken[i] - 2.0 * products[row * (CANDIDATES / 4u) + i]);
    }
    let squared = norms[row] + min(min(least.x, least.y), min(least.z, least.w));
    return select(squared, 0.0, squared <= SAME * norms[row]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Where there are fewer rows than candidates, the last stand for a row that is never taken.
    var best = Farthest(-1.0, min(workgroup.x, params.rows - 1u));
    for (var row = workgroup.x + lane * CANDIDATES; row < params.rows; row += INVOCATIONS * CANDIDATES) {
        let squared = min(nearest[row], squared_distance(row));
        nearest[row] = squared;
        let candidate = Farthest(squared, row);
        if is_farther(candidate, best) {
            best = candidate;
        }
    }
    farthest[lane] = best;
    workgroupBarrier();
    for (var step = INVOCATIONS / 2u; step > 0u; step /= 2u) {
        if lane < step && is_farther(farthest[lane + step], farthest[lane]) {
            farthest[lane] = farthest[lane + step];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        candidates[workgroup.x] = farthest[0].row;
        reach[workgroup.x] = farthest[0].squared;
    }
}
