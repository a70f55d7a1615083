// One axis of a Gaussian blur with a mirror boundary that repeats the edge sample: scipy.ndimage.gaussian_filter1d with
// mode="reflect". One invocation a pixel.
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
    let image = id.y / params.size;
    let position = id.y % params.size;
    let line = image * params.size * params.size + id.x * params.across;
    // d c b a | a b c d | d c b a, for any distance from the map. Whole periods are added, because OpenGL leaves
    // remainders of negative numbers undefined, and there is one remainder a pixel, because they are slow.
    let period = 2u * params.size;
    var place = (position + period * (params.radius / period + 1u) - params.radius) % period;
    var sum = 0.0;
    for (var i = 0u; i <= 2u * params.radius; i++) {
        sum = fma(weights[i], x[line + min(place, period - 1u - place) * params.along], sum);
        place = select(place + 1u, 0u, place + 1u == period);
    }
    out[line + position * params.along] = sum;
}
