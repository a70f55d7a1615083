// The `nearest` smallest of each row of squared distances, as distances in ascending order: torch.topk(largest=False,
// sorted=True) of the square roots. With INDICES defined, also which candidates they are: of candidates equally far the
// first come first. One workgroup a row.
//
// Non-negative floats order like their bits, so all is done on integers. Only values and the candidates' own order
// decide, so the result does not depend on the order in which invocations run.
//
//   squared  [rows][candidates] vec4s
//   out      [..][nearest], written from first_row on
//   indices  [..][nearest], the same
struct Params {
    // In vec4s.
    candidates: u32,
    nearest: u32,
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squared: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
#ifdef INDICES
@group(0) @binding(3) var<storage, read_write> indices: array<u32>;
#endif

// A multiple of 8, at least `nearest`.
override SORTED: u32 = 256u;
// Few enough that barriers stay cheap; many rows are in flight at once. Each puts 8 of the kept values in order.
override INVOCATIONS: u32 = max(64u, SORTED / 8u);
// Larger than any value, with room for 1 more.
const FILLER: u32 = 0xfffffffeu;

// Where the last value wanted lies.
struct Range {
    smallest: u32,
    bound: u32,
}

// What stays: values below a limit, and as many copies of another as there is room for.
struct Kept {
    limit: u32,
    filler: u32,
}

#ifdef CUTS
#import narrow_by_cuts
#else
#import narrow_by_buckets
#endif

var<workgroup> smallest: atomic<u32>;
var<workgroup> bound: atomic<u32>;
var<workgroup> found: Range;
var<workgroup> kept: array<u32, SORTED>;
#ifdef INDICES
// Which candidate each is.
var<workgroup> kept_candidates: array<u32, SORTED>;
#endif
var<workgroup> kept_count: atomic<u32>;

// From the row's smallest value to one that is no smaller than the last one wanted. Each of an invocation's four
// streams of values has one as small as the largest of all streams' smallest, which bounds the last value wanted well
// below the row's largest where there are as many streams.
fn find_range(row: u32, lane: u32) -> Range {
    if lane == 0u {
        atomicStore(&smallest, 0xffffffffu);
        atomicStore(&bound, 0u);
        atomicStore(&kept_count, 0u);
    }
    workgroupBarrier();
    var low = vec4(0xffffffffu);
    var high = vec4(0u);
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        low = min(low, values);
        high = max(high, values);
    }
    let streams = 4u * min(INVOCATIONS, params.candidates);
    let bounds = select(high, low, streams >= params.nearest && lane < params.candidates);
    atomicMin(&smallest, min(min(low.x, low.y), min(low.z, low.w)));
    atomicMax(&bound, max(max(bounds.x, bounds.y), max(bounds.z, bounds.w)));
    workgroupBarrier();
    if lane == 0u {
        found = Range(atomicLoad(&smallest), atomicLoad(&bound));
    }
    return workgroupUniformLoad(&found);
}

fn keep(candidate: u32, value: u32, limit: u32) {
    if value < limit {
        let place = atomicAdd(&kept_count, 1u);
        kept[place] = value;
#ifdef INDICES
        kept_candidates[place] = candidate;
#endif
    }
}

#ifdef INDICES
// Finds the first candidates of the value that fills up what is kept. So many are equally far only where descriptors
// are all but the same, and then one invocation is enough.
fn find_fillers(row: u32, filler: u32) {
    var place = atomicLoad(&kept_count);
    for (var candidate = 0u; candidate < 4u * params.candidates && place < SORTED; candidate++) {
        if squared[row + candidate / 4u][candidate % 4u] == filler {
            kept_candidates[place] = candidate;
            place++;
        }
    }
}
#endif

fn gather(row: u32, lane: u32, what: Kept) {
    for (var i = lane; i < SORTED; i += INVOCATIONS) {
        kept[i] = what.filler;
    }
    workgroupBarrier();
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        keep(4u * i, values.x, what.limit);
        keep(4u * i + 1u, values.y, what.limit);
        keep(4u * i + 2u, values.z, what.limit);
        keep(4u * i + 3u, values.w, what.limit);
    }
    workgroupBarrier();
#ifdef INDICES
    if lane == 0u && what.filler != FILLER {
        find_fillers(row, what.filler);
    }
    workgroupBarrier();
#endif
}

fn kept_block(block: u32) -> vec4<u32> {
    return vec4(kept[4u * block], kept[4u * block + 1u], kept[4u * block + 2u], kept[4u * block + 3u]);
}

// 1 where a value lies below these bounds.
fn below(value: u32, bounds: vec4<u32>) -> vec4<u32> {
    return select(vec4(0u), vec4(1u), vec4(value) < bounds);
}

fn ranks(others: vec4<u32>, bounds: vec4<u32>) -> vec4<u32> {
    return below(others.x, bounds) + below(others.y, bounds) + below(others.z, bounds) + below(others.w, bounds);
}

// How many equal values of the same block are before each.
fn equal_before(values: vec4<u32>) -> vec4<u32> {
    return vec4(
        0u,
        u32(values.x == values.y),
        u32(values.x == values.z) + u32(values.y == values.z),
        u32(values.x == values.w) + u32(values.y == values.w) + u32(values.z == values.w),
    );
}

// 8 kept values and how many kept values are before each: smaller ones, and equal ones kept earlier.
struct Ranking {
    first: vec4<u32>,
    second: vec4<u32>,
    first_rank: vec4<u32>,
    second_rank: vec4<u32>,
}

// More comparisons than a sorting network, but no barriers and no stores between them. An invocation ranks 8 values, so
// that what it reads serves as many.
fn ranking(lane: u32) -> Ranking {
    let first = kept_block(2u * lane);
    let second = kept_block(2u * lane + 1u);
    var first_rank = equal_before(first);
    var second_rank = equal_before(second);
    for (var block = 0u; block < SORTED / 4u; block++) {
        let others = kept_block(block);
        first_rank += ranks(others, first + select(0u, 1u, block < 2u * lane));
        second_rank += ranks(others, second + select(0u, 1u, block < 2u * lane + 1u));
    }
    return Ranking(first, second, first_rank, second_rank);
}

#ifdef INDICES
fn candidates_block(block: u32) -> vec4<u32> {
    return vec4(
        kept_candidates[4u * block],
        kept_candidates[4u * block + 1u],
        kept_candidates[4u * block + 2u],
        kept_candidates[4u * block + 3u],
    );
}

fn put(values: vec4<u32>, candidates: vec4<u32>, rank: vec4<u32>) {
    for (var i = 0u; i < 4u; i++) {
        kept[rank[i]] = values[i];
        kept_candidates[rank[i]] = candidates[i];
    }
}

// The place of a value in order, where equal ones are in the order of their candidates.
fn place_among_equals(rank: u32) -> u32 {
    let value = kept[rank];
    let candidate = kept_candidates[rank];
    var place = rank;
    for (var i = rank; i > 0u && kept[i - 1u] == value; i--) {
        place -= u32(kept_candidates[i - 1u] > candidate);
    }
    for (var i = rank + 1u; i < SORTED && kept[i] == value; i++) {
        place += u32(kept_candidates[i] < candidate);
    }
    return place;
}

// Writes the `nearest` smallest kept values in order, and which candidates they are.
fn write_in_order(first: u32, lane: u32) {
    var own = Ranking();
    var candidates = array<vec4<u32>, 2>();
    if lane < SORTED / 8u {
        own = ranking(lane);
        candidates = array(candidates_block(2u * lane), candidates_block(2u * lane + 1u));
    }
    workgroupBarrier();
    if lane < SORTED / 8u {
        put(own.first, candidates[0], own.first_rank);
        put(own.second, candidates[1], own.second_rank);
    }
    workgroupBarrier();
    for (var rank = lane; rank < SORTED && kept[rank] != FILLER; rank += INVOCATIONS) {
        let place = place_among_equals(rank);
        if place < params.nearest {
            out[first + place] = sqrt(bitcast<f32>(kept[rank]));
            indices[first + place] = kept_candidates[rank];
        }
    }
}
#else
fn write_ranked(first: u32, values: vec4<u32>, rank: vec4<u32>) {
    let distances = sqrt(bitcast<vec4<f32>>(values));
    for (var i = 0u; i < 4u; i++) {
        if rank[i] < params.nearest {
            out[first + rank[i]] = distances[i];
        }
    }
}

// Writes the `nearest` smallest kept values in order.
fn write_in_order(first: u32, lane: u32) {
    if lane < SORTED / 8u {
        let own = ranking(lane);
        write_ranked(first, own.first, own.first_rank);
        write_ranked(first, own.second, own.second_rank);
    }
}
#endif

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup.x * params.candidates;
    gather(row, lane, narrow(row, lane, find_range(row, lane)));
    write_in_order((params.first_row + workgroup.x) * params.nearest, lane);
}
