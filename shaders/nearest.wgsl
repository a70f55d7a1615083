// The `nearest` smallest of each row of squared distances, as distances in ascending order: torch.topk(largest=False,
// sorted=True) of the square roots, or, where ROOTS is false, of the values as they are. One workgroup a row.
//
// Non-negative floats order like their bits, so all is done on integers. The range of the row's values is cut into
// 256 buckets; the bucket that holds the last value wanted is cut again until it and all buckets below fit into
// workgroup memory together, which the first cut mostly achieves. Only values decide, so the result does not depend
// on the order in which invocations run.
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
// Four an invocation.
override BUCKETS: u32 = 4u * INVOCATIONS;
// Larger than any value, with room for 1 more.
const FILLER: u32 = 0xfffffffeu;

// The values still in question: low + (0 .. BUCKETS << shift). `below` values lie under them, and `inside` of the
// values in question are no larger than the last one wanted, as far as is known.
struct Search {
    low: u32,
    shift: u32,
    below: u32,
    inside: u32,
}

var<workgroup> smallest: atomic<u32>;
var<workgroup> largest: atomic<u32>;
var<workgroup> histogram: array<atomic<u32>, BUCKETS>;
var<workgroup> counts: array<u32, INVOCATIONS>;
var<workgroup> search: Search;
var<workgroup> kept: array<u32, SORTED>;
var<workgroup> kept_count: atomic<u32>;

// The whole range of the row.
fn find_range(row: u32, lane: u32) -> Search {
    if lane == 0u {
        atomicStore(&smallest, 0xffffffffu);
        atomicStore(&largest, 0u);
        atomicStore(&kept_count, 0u);
    }
    for (var i = 0u; i < 4u; i++) {
        atomicStore(&histogram[4u * lane + i], 0u);
    }
    workgroupBarrier();
    var low = vec4(0xffffffffu);
    var high = vec4(0u);
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        low = min(low, values);
        high = max(high, values);
    }
    atomicMin(&smallest, min(min(low.x, low.y), min(low.z, low.w)));
    atomicMax(&largest, max(max(high.x, high.y), max(high.z, high.w)));
    workgroupBarrier();
    let first = atomicLoad(&smallest);
    let range = atomicLoad(&largest) - first;
    if lane == 0u {
        // The shift that brings the range below 256.
        search = Search(first, 24u - min(countLeadingZeros(range | 1u), 24u), 0u, 4u * params.candidates);
    }
    return workgroupUniformLoad(&search);
}

fn count(value: u32, now: Search) {
    // Values below `low` wrap around to large numbers.
    let bucket = (value - now.low) >> now.shift;
    if bucket < BUCKETS {
        atomicAdd(&histogram[bucket], 1u);
    }
}

// The bucket that holds the last value wanted, once all values are counted, and leaves the histogram empty.
fn bucket_of_last(lane: u32, now: Search) -> Search {
    workgroupBarrier();
    var inside: array<u32, 4>;
    for (var i = 0u; i < 4u; i++) {
        inside[i] = atomicExchange(&histogram[4u * lane + i], 0u);
    }
    let sum = inside[0] + inside[1] + inside[2] + inside[3];
    counts[lane] = sum;
    workgroupBarrier();
    // Of the values before this invocation's buckets.
    var below = now.below;
    for (var i = 0u; i < INVOCATIONS; i += 8u) {
        let low = vec4(counts[i], counts[i + 1u], counts[i + 2u], counts[i + 3u]);
        let high = vec4(counts[i + 4u], counts[i + 5u], counts[i + 6u], counts[i + 7u]);
        below += dot(select(vec4(0u), low, vec4(i, i + 1u, i + 2u, i + 3u) < vec4(lane)), vec4(1u));
        below += dot(select(vec4(0u), high, vec4(i + 4u, i + 5u, i + 6u, i + 7u) < vec4(lane)), vec4(1u));
    }
    if below < params.nearest && below + sum >= params.nearest {
        // Values below each of the four, and the last of them with too few.
        let befores = below + vec4(0u, inside[0], inside[0] + inside[1], sum - inside[3]);
        let beyond = befores < vec4(params.nearest);
        let bucket = u32(beyond.y) + u32(beyond.z) + u32(beyond.w);
        search = Search(now.low + ((4u * lane + bucket) << now.shift), now.shift, befores[bucket], inside[bucket]);
    }
    return workgroupUniformLoad(&search);
}

// Narrows the values in question to one bucket, which fits into workgroup memory with all below it or is a single
// value.
fn narrow(row: u32, lane: u32, range: Search) -> Search {
    var now = range;
    // One loop for the values of all cuts.
    var i = lane;
    var done = 0u;
    loop {
        if i < params.candidates {
            let values = squared[row + i];
            count(values.x, now);
            count(values.y, now);
            count(values.z, now);
            count(values.w, now);
        }
        i += INVOCATIONS;
        done += INVOCATIONS;
        if done >= params.candidates {
            now = bucket_of_last(lane, now);
            if fits(now) || now.shift == 0u {
                break;
            }
            now.shift -= min(now.shift, 8u);
            i = lane;
            done = 0u;
        }
    }
    return now;
}

fn fits(now: Search) -> bool {
    return now.below + now.inside <= SORTED;
}

fn keep(value: u32, low: u32, width: u32) {
    if value < low || value - low < width {
        kept[atomicAdd(&kept_count, 1u)] = value;
    }
}

// Values from now.low on, one bucket of 1 << now.shift wide, are the last to be kept: all of them where they fit,
// else as many copies of the single value they then are.
fn gather(row: u32, lane: u32, now: Search) {
    let filler = select(now.low, FILLER, fits(now));
    for (var i = lane; i < SORTED; i += INVOCATIONS) {
        kept[i] = filler;
    }
    workgroupBarrier();
    let width = select(0u, 1u << now.shift, fits(now));
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        keep(values.x, now.low, width);
        keep(values.y, now.low, width);
        keep(values.z, now.low, width);
        keep(values.w, now.low, width);
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
    let range = find_range(row, lane);
    let last = narrow(row, lane, range);
    gather(row, lane, last);
    write_in_order((params.first_row + workgroup.x) * params.nearest, lane);
}
