// The `nearest` smallest of each row of squared distances, as distances in ascending order: torch.topk(largest=False,
// sorted=True) of the square roots, or, where ROOTS is false, of the values as they are. One workgroup a row.
//
// Non-negative floats order like their bits, so all is done on integers. Only values decide, so the result does not
// depend on the order in which invocations run.
//
//   squared  [rows][candidates] vec4s
//   out      [rows][nearest], written from first_row on
struct Params {
    // In vec4s.
    candidates: u32,
    nearest: u32,
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squared: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// A multiple of 8, at least `nearest`.
override SORTED: u32 = 256u;
override ROOTS: bool = true;
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

fn keep(value: u32, limit: u32) {
    if value < limit {
        kept[atomicAdd(&kept_count, 1u)] = value;
    }
}

fn gather(row: u32, lane: u32, what: Kept) {
    for (var i = lane; i < SORTED; i += INVOCATIONS) {
        kept[i] = what.filler;
    }
    workgroupBarrier();
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        keep(values.x, what.limit);
        keep(values.y, what.limit);
        keep(values.z, what.limit);
        keep(values.w, what.limit);
    }
    workgroupBarrier();
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

fn write_ranked(place: u32, values: vec4<u32>, rank: vec4<u32>) {
    let squares = bitcast<vec4<f32>>(values);
    let distances = select(squares, sqrt(squares), ROOTS);
    for (var i = 0u; i < 4u; i++) {
        if rank[i] < params.nearest {
            out[place + rank[i]] = distances[i];
        }
    }
}

// Writes the `nearest` smallest kept values in order: a value's rank is the number of values before it, smaller ones
// and equal ones kept earlier. More comparisons than a sorting network, but no barriers and no stores between them.
// An invocation ranks 8 values, so that what it reads serves as many.
fn write_in_order(place: u32, lane: u32) {
    if lane >= SORTED / 8u {
        return;
    }
    let first = kept_block(2u * lane);
    let second = kept_block(2u * lane + 1u);
    var first_rank = equal_before(first);
    var second_rank = equal_before(second);
    for (var block = 0u; block < SORTED / 4u; block++) {
        let others = kept_block(block);
        first_rank += ranks(others, first + select(0u, 1u, block < 2u * lane));
        second_rank += ranks(others, second + select(0u, 1u, block < 2u * lane + 1u));
    }
    write_ranked(place, first, first_rank);
    write_ranked(place, second, second_rank);
}

@compute @workgroup_size(INVOCATIONS)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup.x * params.candidates;
    gather(row, lane, narrow(row, lane, find_range(row, lane)));
    write_in_order((params.first_row + workgroup.x) * params.nearest, lane);
}
