// One axis of a Gaussian blur with a mirror boundary that repeats the edge sample: scipy.ndimage.gaussian_filter1d with
// mode="reflect". One invocation four pixels in a row along the blurred axis: of what lies under a weight for them,
// three lay under the weight before.
//
//   x, out   [batch][size][size]
//   weights  [2 * radius + 1], summing to 1
struct Params {
    size: u32,
    radius: u32,
    // Elements between neighbours along the blurred axis, and along the other one.
    along: u32,
    across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.size {
        return;
    }
    let strips = (params.size + 3u) / 4u;
    let image = id.y / strips;
    let position = id.y % strips * 4u;
    let line = image * params.size * params.size + id.x * params.across;
    // d c b a | a b c d | d c b a, for any distance from the map. Whole periods are added, because OpenGL leaves
    // remainders of negative numbers undefined, and there is one remainder a strip, because they are slow.
    let period = 2u * params.size;
    let first = (position + period * (params.radius / period + 1u) - params.radius) % period;
    let second = next(first, period);
    let third = next(second, period);
    var place = next(third, period);
    var values = vec4(
        0.0,
        value_at(line, first, period),
        value_at(line, second, period),
        value_at(line, third, period),
    );
    var sums = vec4(0.0);
    for (var i = 0u; i <= 2u * params.radius; i++) {
        values = vec4(values.yzw, value_at(line, place, period));
        sums = fma(vec4(weights[i]), values, sums);
        place = next(place, period);
    }
    for (var i = 0u; i < min(4u, params.size - position); i++) {
        out[line + (position + i) * params.along] = sums[i];
    }
}

fn next(place: u32, period: u32) -> u32 {
    return select(place + 1u, 0u, place + 1u == period);
}

fn value_at(line: u32, place: u32, period: u32) -> f32 {
    return x[line + min(place, period - 1u - place) * params.along];
}
