// Which of a row's values are the smallest wanted: the range that the last one lies in is cut into 256 buckets, and the
// bucket that holds it again, until it and all buckets below fit into workgroup memory together, which the first cut
// mostly achieves.

// Four an invocation.
override BUCKETS: u32 = 4u * INVOCATIONS;

// The values still in question: low + (0 .. BUCKETS << shift). `below` values lie under them, and `inside` of the
// values in question are no larger than the last one wanted, as far as is known.
struct Search {
    low: u32,
    shift: u32,
    below: u32,
    inside: u32,
}

var<workgroup> histogram: array<atomic<u32>, BUCKETS>;
var<workgroup> counts: array<u32, INVOCATIONS>;
var<workgroup> search: Search;

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

fn fits(now: Search) -> bool {
    return now.below + now.inside <= SORTED;
}

fn narrow(row: u32, lane: u32, range: Range) -> Kept {
    for (var i = 0u; i < 4u; i++) {
        atomicStore(&histogram[4u * lane + i], 0u);
    }
    workgroupBarrier();
    // The shift that brings the range below 256.
    let shift = 24u - min(countLeadingZeros((range.bound - range.smallest) | 1u), 24u);
    var now = Search(range.smallest, shift, 0u, 4u * params.candidates);
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
    // Values of one bucket 1 << now.shift wide are the last: all where they fit, else copies of the single value.
    if fits(now) {
        return Kept(now.low + (1u << now.shift), FILLER);
    }
    return Kept(now.low, now.low);
}
