// The `nearest` smallest of each row of squared distances, as distances in ascending order: torch.topk(largest=False,
// sorted=True) of the square roots. One workgroup a row.
//
// Non-negative floats order like their bits, so all is done on integers. The range of the row's values is cut into 256
// buckets; the bucket that holds the last value wanted is cut again until it and all buckets below fit into
// workgroup memory together, which the first cut mostly achieves. Only values decide, so the result does not depend on the order
// in which invocations run.
//
//   squared  [rows][candidates]
//   out      [rows][nearest], written from first_row on
struct Params {
    candidates: u32,
    nearest: u32,
    first_row: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> squared: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// A multiple of 8, at least `nearest`.
override SORTED: u32 = 256u;
// Few enough that barriers stay cheap; many rows are in flight at once.
const INVOCATIONS: u32 = 64u;
const BUCKETS: u32 = 256u;
// Larger than any value, with room for 1 more.
const FILLER: u32 = 0xfffffffeu;
// The search for a bucket goes through groups first.
const GROUP: u32 = 16u;

// The values still in question: low + (0 .. BUCKETS << shift). `below` values lie under them, and `inside` of the values
// in question are no larger than the last one wanted, as far as is known.
struct Search {
    low: u32,
    shift: u32,
    below: u32,
    inside: u32,
}

var<workgroup> smallest: atomic<u32>;
var<workgroup> largest: atomic<u32>;
var<workgroup> histogram: array<atomic<u32>, BUCKETS>;
var<workgroup> group_counts: array<u32, GROUP>;
var<workgroup> search: Search;
var<workgroup> kept: array<u32, SORTED>;
var<workgroup> kept_count: atomic<u32>;

// Begins with the whole range of the row.
fn find_range(row: u32, lane: u32) {
    if lane == 0u {
        atomicStore(&smallest, 0xffffffffu);
        atomicStore(&largest, 0u);
        atomicStore(&kept_count, 0u);
    }
    workgroupBarrier();
    var low = 0xffffffffu;
    var high = 0u;
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let value = squared[row + i];
        low = min(low, value);
        high = max(high, value);
    }
    atomicMin(&smallest, low);
    atomicMax(&largest, high);
    workgroupBarrier();
    if lane == 0u {
        let range = atomicLoad(&largest) - atomicLoad(&smallest);
        // The shift that brings the range below 256.
        let shift = 24u - min(countLeadingZeros(range | 1u), 24u);
        search = Search(atomicLoad(&smallest), shift, 0u, params.candidates);
    }
    workgroupBarrier();
}

// Narrows the values in question to one bucket.
fn narrow(row: u32, lane: u32, now: Search) {
    for (var i = lane; i < BUCKETS; i += INVOCATIONS) {
        atomicStore(&histogram[i], 0u);
    }
    workgroupBarrier();
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        // Values below `low` wrap around to large numbers.
        let bucket = (squared[row + i] - now.low) >> now.shift;
        if bucket < BUCKETS {
            atomicAdd(&histogram[bucket], 1u);
        }
    }
    workgroupBarrier();
    if lane < BUCKETS / GROUP {
        var count = 0u;
        for (var i = 0u; i < GROUP; i++) {
            count += atomicLoad(&histogram[lane * GROUP + i]);
        }
        group_counts[lane] = count;
    }
    workgroupBarrier();
    if lane == 0u {
        var below = now.below;
        var bucket = 0u;
        while below + group_counts[bucket / GROUP] < params.nearest {
            below += group_counts[bucket / GROUP];
            bucket += GROUP;
        }
        while below + atomicLoad(&histogram[bucket]) < params.nearest {
            below += atomicLoad(&histogram[bucket]);
            bucket++;
        }
        let low = now.low + (bucket << now.shift);
        search = Search(low, now.shift, below, atomicLoad(&histogram[bucket]));
    }
    workgroupBarrier();
}

// Values from now.low on, one bucket of 1 << now.shift wide, are the last to be kept: all of them where they fit,
// else as many copies of the single value they then are.
fn gather(row: u32, lane: u32, now: Search) {
    let all = now.below + now.inside <= SORTED;
    let filler = select(now.low, FILLER, all);
    for (var i = lane; i < SORTED; i += INVOCATIONS) {
        kept[i] = filler;
    }
    workgroupBarrier();
    let width = select(0u, 1u << now.shift, all);
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let value = squared[row + i];
        if value < now.low || value - now.low < width {
            kept[atomicAdd(&kept_count, 1u)] = value;
        }
    }
    workgroupBarrier();
}

fn kept_from(index: vec4<u32>) -> vec4<u32> {
    return vec4(kept[index.x], kept[index.y], kept[index.z], kept[index.w]);
}

// 1 where the kept value `other` at `i` comes before those of `value` at `index`: smaller ones, and equal ones kept
// earlier.
fn comes_before(other: vec4<u32>, i: u32, value: vec4<u32>, index: vec4<u32>) -> vec4<u32> {
    let bound = value + select(vec4(0u), vec4(1u), vec4(i) < index);
    return select(vec4(0u), vec4(1u), other < bound);
}

fn write_ranked(place: u32, value: vec4<u32>, rank: vec4<u32>) {
    let distances = sqrt(bitcast<vec4<f32>>(value));
    for (var i = 0u; i < 4u; i++) {
        if rank[i] < params.nearest {
            out[place + rank[i]] = distances[i];
        }
    }
}

// Writes the `nearest` smallest kept values in order: a value's rank is the number of values before it. More comparisons
// than a sorting network, but no barriers and no stores between them. An invocation ranks 8 values, so that what it reads
// serves as many.
fn write_in_order(place: u32, lane: u32) {
    for (var first = 8u * lane; first < SORTED; first += 8u * INVOCATIONS) {
        let index_0 = vec4(first, first + 1u, first + 2u, first + 3u);
        let index_1 = index_0 + 4u;
        let value_0 = kept_from(index_0);
        let value_1 = kept_from(index_1);
        var rank_0 = vec4(0u);
        var rank_1 = vec4(0u);
        for (var i = 0u; i < SORTED; i++) {
            let other = vec4(kept[i]);
            rank_0 += comes_before(other, i, value_0, index_0);
            rank_1 += comes_before(other, i, value_1, index_1);
        }
        write_ranked(place, value_0, rank_0);
        write_ranked(place, value_1, rank_1);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = workgroup.x * params.candidates;
    find_range(row, lane);
    var now = workgroupUniformLoad(&search);
    loop {
        narrow(row, lane, now);
        now = workgroupUniformLoad(&search);
        if now.below + now.inside <= SORTED || now.shift == 0u {
            break;
        }
        now.shift -= min(now.shift, 8u);
    }
    gather(row, lane, now);
    write_in_order((params.first_row + workgroup.x) * params.nearest, lane);
}
