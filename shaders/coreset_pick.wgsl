// Takes candidates into a coreset, farthest first (greedy k-centre; Gonzalez, 1985): always the one that is farthest
// from what is chosen, while it is nearly as far as the round's first. One workgroup, an invocation a candidate.
//
//   products    [rows][64 / 4] vec4s, x . x of candidate
//   norms       [rows], |x|^2
//   candidates  [64], rows of x
//   reach       [64], squared distance of each candidate to the nearest chosen row; 0 or less where there is none
//   taken       [64], |x|^2 of the candidates taken in this round, FAR for the others
//   chosen      [1 + wanted], how many rows are chosen, then the rows
#import coreset
#import products

struct Params {
    wanted: u32,
    // Share of the round's largest squared distance below which a candidate waits: the next round knows all rows again.
    nearly: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> norms: array<f32>;
@group(0) @binding(3) var<storage, read> candidates: array<u32>;
@group(0) @binding(4) var<storage, read> reach: array<f32>;
@group(0) @binding(5) var<storage, read_write> taken: array<f32>;
@group(0) @binding(6) var<storage, read_write> chosen: array<u32>;

const INVOCATIONS: u32 = CANDIDATES;

var<workgroup> chosen_before: u32;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
    let row = candidates[lane];
    let norm = norms[row];
    var squared = reach[lane];
    taken[lane] = FAR;
    if lane == 0u {
        chosen_before = chosen[0];
    }
    var count = workgroupUniformLoad(&chosen_before);
    var first = reduce(lane, Farthest(squared, row, lane));
    let least = first.squared * params.nearly;
    for (var i = 0u; i < CANDIDATES; i++) {
        if count >= params.wanted || first.squared <= 0.0 || first.squared < least {
            break;
        }
        if lane == first.lane {
            taken[lane] = norm;
            chosen[1u + count] = row;
            squared = 0.0;
        } else {
            let product = products_at(row, CANDIDATES / 4u, first.lane / 4u)[first.lane % 4u];
            let distance = norm + norms[first.row] - 2.0 * product;
            squared = min(squared, select(distance, 0.0, distance <= SAME * norm));
        }
        count++;
        first = reduce(lane, Farthest(squared, row, lane));
    }
    if lane == 0u {
        chosen[0] = count;
    }
}
