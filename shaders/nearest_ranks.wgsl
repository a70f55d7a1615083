// Which candidates the smallest values of each row are, and their roots: a candidate's rank is the number of sorted
// values below its own, and of equal ones the first come first. One invocation a candidate of a row.
//
//   squared    [rows][candidates]
//   sorted     [rows][nearest], the row's smallest values in ascending order
//   distances  [..][nearest], the roots, written from first_row on
//   indices    [..][nearest], the candidates, written from first_row on
struct Params {
    candidates: u32,
    nearest: u32,
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squared: array<f32>;
@group(0) @binding(2) var<storage, read> sorted: array<f32>;
@group(0) @binding(3) var<storage, read_write> distances: array<f32>;
@group(0) @binding(4) var<storage, read_write> indices: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.candidates {
        return;
    }
    let row = id.y * params.candidates;
    let first = id.y * params.nearest;
    let value = squared[row + id.x];
    if value > sorted[first + params.nearest - 1u] {
        return;
    }
    var rank = 0u;
    var end = params.nearest;
    while rank < end {
        let middle = (rank + end) / 2u;
        if sorted[first + middle] < value {
            rank = middle + 1u;
        } else {
            end = middle;
        }
    }
    // The last value may have equals that are not among the sorted.
    let is_last = rank + 1u >= params.nearest;
    if is_last || sorted[first + min(rank + 1u, params.nearest - 1u)] == value {
        for (var i = 0u; i < id.x; i++) {
            rank += select(0u, 1u, squared[row + i] == value);
        }
    }
    if rank < params.nearest {
        let place = (params.first_row + id.y) * params.nearest + rank;
        distances[place] = sqrt(value);
        indices[place] = id.x;
    }
}
