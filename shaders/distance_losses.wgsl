// The losses of distances, NFC, AFS and PDC, and their gradients. One invocation a distance.
//
//   distances   [batch][positions][nearest], ascending
//   masks       [batch][positions]
//   statistics  [batch][3], as distance_statistics.wgsl has them
//   gradient    [batch][positions][nearest]: of NFC + AFS + factor PDC
//   terms       [4]: NFC, AFS, PDC, 0
//   d_radius    [1], the gradient of the radius
struct Params {
    batch: u32,
    positions: u32,
    nearest: u32,
    hardest: u32,
    margin: f32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> distances: array<f32>;
@group(0) @binding(2) var<storage, read> masks: array<f32>;
@group(0) @binding(3) var<storage, read> statistics: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> terms: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> d_radius: array<f32>;

// Of the images' hardest distances: their logarithm of the sum of exponentials, and the sum of the targets.
fn softmax() -> vec2<f32> {
    var largest = 0.0;
    for (var image = 0u; image < params.batch; image++) {
        largest = max(largest, statistics[3u * image + 2u].x * statistics[3u * image].z);
    }
    var sum = 0.0;
    var targets = 0.0;
    for (var image = 0u; image < params.batch; image++) {
        let role = statistics[3u * image];
        sum += select(0.0, exp(statistics[3u * image + 2u].x - largest), role.z > 0.0);
        targets += role.w;
    }
    return vec2(largest + log(sum), targets);
}

fn write_terms(across: vec2<f32>) {
    var sums = vec4(0.0);
    var of_radius = 0.0;
    for (var image = 0u; image < params.batch; image++) {
        let role = statistics[3u * image];
        let of_radii = statistics[3u * image + 1u];
        let hardest = statistics[3u * image + 2u];
        sums += vec4(role.x * of_radii.x, role.y * of_radii.z, role.w * (across.x - hardest.x), 0.0);
        of_radius += 2.0 * (role.y * of_radii.w * (hardest.w + params.margin) - role.x * of_radii.y * hardest.w);
    }
    terms[0] = sums;
    d_radius[0] = of_radius;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let across = softmax();
    if id.x == 0u && id.y == 0u {
        write_terms(across);
    }
    if id.x >= params.nearest {
        return;
    }
    let image = id.y / params.positions;
    let role = statistics[3u * image];
    let hardest = statistics[3u * image + 2u];
    let place = id.y * params.nearest + id.x;
    let distance = distances[place];
    let inner = hardest.w * hardest.w;
    let outer = (hardest.w + params.margin) * (hardest.w + params.margin);
    var sum = 0.0;
    if id.x < 3u {
        sum += select(0.0, role.x, distance > inner);
        sum -= select(0.0, role.y * masks[id.y], distance < outer);
        let least = select(0.0, hardest.z, distance == hardest.y);
        let share = select(least, 1.0 / f32(params.hardest), distance > hardest.y);
        if role.z > 0.0 {
            sum += params.factor * share * (across.y * exp(hardest.x - across.x) - role.w);
        }
    }
    gradient[place] = sum;
}
