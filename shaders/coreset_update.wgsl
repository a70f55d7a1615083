// Brings the distances of all rows to a coreset up to date with the candidates just taken into it, and finds the next
// candidates: candidate i is the farthest of the rows i, i + 64, i + 128 .. One workgroup a candidate.
//
//   products    [rows][64 / 4] vec4s, x . x of candidate
//   norms       [rows], |x|^2
//   taken       [64 / 4] vec4s, |x|^2 of the candidates taken, FAR for the others
//   nearest     [rows], squared distance to the nearest chosen row, brought up to date
//   candidates  [64], rows of x
//   reach       [64], squared distance of each candidate to the nearest chosen row
#import channels
#import coreset
#import products

struct Params {
    rows: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> taken: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> nearest: array<f32>;
@group(0) @binding(5) var<storage, read_write> candidates: array<u32>;
@group(0) @binding(6) var<storage, read_write> reach: array<f32>;

const INVOCATIONS: u32 = 256u;

fn squared_distance(row: u32) -> f32 {
    var least = vec4(FAR);
    for (var i = 0u; i < CANDIDATES / 4u; i++) {
        least = min(least, taken[i] - 2.0 * products_at(row, CANDIDATES / 4u, i));
    }
    let squared = norms[row] + least_of_channels(least);
    return select(squared, 0.0, squared <= SAME * norms[row]);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Where there are fewer rows than candidates, the last stand for a row that is never taken.
    var best = Farthest(-1.0, min(workgroup.x, params.rows - 1u), lane);
    for (var row = workgroup.x + lane * CANDIDATES; row < params.rows; row += INVOCATIONS * CANDIDATES) {
        let squared = min(nearest[row], squared_distance(row));
        nearest[row] = squared;
        best = joined(best, Farthest(squared, row, lane));
    }
    let farthest = reduce(lane, best);
    if lane == 0u {
        candidates[workgroup.x] = farthest.row;
        reach[workgroup.x] = farthest.squared;
    }
}
