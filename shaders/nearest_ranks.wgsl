// Which candidates the smallest values of each row are, and their roots: a candidate's rank is the number of sorted
// values below its own, and of equal ones the first come first. One workgroup a row: it picks the few candidates that
// are small enough, then ranks them side by side.
//
//   squared    [rows][candidates] vec4s
//   sorted     [rows][nearest], the row's smallest values in ascending order
//   distances  [..][nearest], the roots, written from first_row on
//   indices    [..][nearest], the candidates, written from first_row on
struct Params {
    // In vec4s.
    candidates: u32,
    nearest: u32,
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squared: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> sorted: array<f32>;
@group(0) @binding(3) var<storage, read_write> distances: array<f32>;
@group(0) @binding(4) var<storage, read_write> indices: array<u32>;

// At least `nearest`.
override SORTED: u32 = 256u;
const INVOCATIONS: u32 = 64u;
const NONE: u32 = 0xffffffffu;

// Candidates below the last value, in any order.
var<workgroup> picked: array<u32, SORTED>;
var<workgroup> picked_count: atomic<u32>;
// The first candidate of the last value.
var<workgroup> first_tie: atomic<u32>;
var<workgroup> tie: u32;

fn value_of(row: u32, candidate: u32) -> f32 {
    return squared[row * params.candidates + candidate / 4u][candidate % 4u];
}

// The number of sorted values below this one.
fn smaller(first: u32, value: f32) -> u32 {
    var low = 0u;
    var end = params.nearest;
    while low < end {
        let middle = (low + end) / 2u;
        if sorted[first + middle] < value {
            low = middle + 1u;
        } else {
            end = middle;
        }
    }
    return low;
}

fn write_at(row: u32, rank: u32, candidate: u32, value: f32) {
    let place = (params.first_row + row) * params.nearest + rank;
    distances[place] = sqrt(value);
    indices[place] = candidate;
}

// Of a candidate below the last value: all its equals are among the sorted.
fn write_ranked(row: u32, candidate: u32) {
    let first = row * params.nearest;
    let value = value_of(row, candidate);
    var rank = smaller(first, value);
    if sorted[first + rank + 1u] == value {
        for (var i = 0u; i < candidate; i++) {
            rank += select(0u, 1u, value_of(row, i) == value);
        }
    }
    write_at(row, rank, candidate, value);
}

fn pick(candidate: u32, value: f32, last: f32) {
    if value < last {
        picked[atomicAdd(&picked_count, 1u)] = candidate;
    } else if value == last {
        atomicMin(&first_tie, candidate);
    }
}

fn note_tie(candidate: u32, value: f32, last: f32, start: u32) {
    if value == last && candidate >= start {
        atomicMin(&first_tie, candidate);
    }
}

// The first tie from a candidate on, once all invocations have looked for it; another is then looked for.
fn next_tie(lane: u32) -> u32 {
    workgroupBarrier();
    if lane == 0u {
        tie = atomicExchange(&first_tie, NONE);
    }
    return workgroupUniformLoad(&tie);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup.x;
    if lane == 0u {
        atomicStore(&picked_count, 0u);
        atomicStore(&first_tie, NONE);
    }
    workgroupBarrier();
    let first = row * params.candidates;
    let last = sorted[(row + 1u) * params.nearest - 1u];
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[first + i];
        pick(4u * i, values.x, last);
        pick(4u * i + 1u, values.y, last);
        pick(4u * i + 2u, values.z, last);
        pick(4u * i + 3u, values.w, last);
    }
    var candidate = next_tie(lane);
    let below = atomicLoad(&picked_count);
    for (var i = lane; i < below; i += INVOCATIONS) {
        write_ranked(row, picked[i]);
    }
    // Of the last value there may be more than are wanted, and mostly there is one.
    for (var rank = smaller(row * params.nearest, last); rank < params.nearest; rank++) {
        // None is where values are no numbers.
        if lane == 0u && candidate != NONE {
            write_at(row, rank, candidate, last);
        }
        if rank + 1u == params.nearest {
            break;
        }
        for (var i = lane; i < params.candidates; i += INVOCATIONS) {
            let values = squared[first + i];
            note_tie(4u * i, values.x, last, candidate + 1u);
            note_tie(4u * i + 1u, values.y, last, candidate + 1u);
            note_tie(4u * i + 2u, values.z, last, candidate + 1u);
            note_tie(4u * i + 3u, values.w, last, candidate + 1u);
        }
        candidate = next_tie(lane);
    }
}
