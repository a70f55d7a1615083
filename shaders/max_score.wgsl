// The largest value of each map: the image score. One workgroup a map.
//
//   x    [batch][pixels]
//   out  [batch]
#import reduce

struct Params {
    pixels: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

const INVOCATIONS: u32 = 256u;

alias Value = f32;

fn joined(a: f32, b: f32) -> f32 {
    return max(a, b);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = workgroup.x * params.pixels;
    let last = params.pixels - 1u;
    // Starting from a pixel rather than from a lowest value keeps maps of any range right.
    var value = x[first + min(lane, last)];
    // Loads that are on their way together; the last pixel may be looked at several times.
    for (var i = lane; i < params.pixels; i += 4u * INVOCATIONS) {
        let pixels = vec4(
            x[first + i],
            x[first + min(i + INVOCATIONS, last)],
            x[first + min(i + 2u * INVOCATIONS, last)],
            x[first + min(i + 3u * INVOCATIONS, last)],
        );
        let pairs = max(pixels.xy, pixels.zw);
        value = max(value, max(pairs.x, pairs.y));
    }
    let largest = reduce(lane, value);
    if lane == 0u {
        out[workgroup.x] = largest;
    }
}
