// Which of a row's values are the smallest wanted, for adapters that run shaders on a CPU, where an atomic operation
// takes as long as many comparisons: the range that the last one lies in is cut into eight, and the part that holds it
// again, until it and all below fit into workgroup memory together, which the second cut mostly achieves.

const CUTS: u32 = 8u;

// Where the last value wanted lies, and how many values are below `low` and how many up to `high`.
struct Search {
    low: u32,
    high: u32,
    below: u32,
    up_to_high: u32,
}

var<workgroup> counts: array<array<u32, CUTS>, INVOCATIONS>;
var<workgroup> totals: array<u32, CUTS>;
var<workgroup> search: Search;

fn up_to(values: vec4<u32>, limits: vec4<u32>) -> vec4<u32> {
    return select(vec4(0u), vec4(1u), vec4(values.x) <= limits) + select(vec4(0u), vec4(1u), vec4(values.y) <= limits)
        + select(vec4(0u), vec4(1u), vec4(values.z) <= limits) + select(vec4(0u), vec4(1u), vec4(values.w) <= limits);
}

// The part that holds the last value wanted.
fn cut(row: u32, lane: u32, now: Search) -> Search {
    let step = (now.high - now.low) / CUTS + 1u;
    // The last values of the first four of eight equal parts of the range, and of the others.
    let last = vec4(now.low) + step * vec4(1u, 2u, 3u, 4u) - 1u;
    let first_limits = min(last, vec4(now.high));
    let second_limits = min(last + 4u * step, vec4(now.high));
    var first = vec4(0u);
    var second = vec4(0u);
    for (var i = lane; i < params.candidates; i += INVOCATIONS) {
        let values = squared[row + i];
        first += up_to(values, first_limits);
        second += up_to(values, second_limits);
    }
    counts[lane] = array(first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w);
    workgroupBarrier();
    if lane < CUTS {
        var sum = 0u;
        for (var i = 0u; i < INVOCATIONS; i++) {
            sum += counts[i][lane];
        }
        totals[lane] = sum;
    }
    workgroupBarrier();
    if lane < CUTS {
        let before = select(totals[max(lane, 1u) - 1u], now.below, lane == 0u);
        if before < params.nearest && totals[lane] >= params.nearest {
            let low = now.low + lane * step;
            search = Search(low, min(low + step - 1u, now.high), before, totals[lane]);
        }
    }
    return workgroupUniformLoad(&search);
}

fn fits(now: Search) -> bool {
    return now.up_to_high <= SORTED;
}

fn narrow(row: u32, lane: u32, range: Range) -> Kept {
    var now = Search(range.smallest, range.bound, 0u, 4u * params.candidates);
    while !fits(now) && now.low < now.high {
        now = cut(row, lane, now);
    }
    // All values up to the last where they fit, else copies of the single value that is left.
    if fits(now) {
        return Kept(now.high + 1u, FILLER);
    }
    return Kept(now.low, now.low);
}
