// Gradient of the distances to the nearest prototypes with respect to the descriptors: of |phi - C| it is
// (phi - C) / |phi - C|, and 0 where the distance is 0. One workgroup up to 256 channels of a position, an invocation 4.
//
//   phi         [positions][channels] vec4s
//   prototypes  [prototypes][channels] vec4s, or with TEXTURE defined a texture of as many rows of texels
//   distances   [positions][nearest]
//   indices     [positions][nearest], of prototypes
//   dy          [positions][nearest], the gradients of the distances
//   out         [positions][channels] vec4s
struct Params {
    channels: u32,
    nearest: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> phi: array<vec4<f32>>;
#ifdef TEXTURE
@group(0) @binding(2) var prototypes: texture_storage_2d_array<rgba32float, read>;
#else
@group(0) @binding(2) var<storage, read> prototypes: array<vec4<f32>>;
#endif
@group(0) @binding(3) var<storage, read> distances: array<f32>;
@group(0) @binding(4) var<storage, read> indices: array<u32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4<f32>>;

fn prototype_at(index: u32, channel: u32) -> vec4<f32> {
#ifdef TEXTURE
    return textureLoad(prototypes, vec2(channel, index), 0u);
#else
    return prototypes[index * params.channels + channel];
#endif
}

// So many neighbours' shares are held at once.
const TOGETHER: u32 = 256u;

// What each neighbour's direction weighs, and where its descriptor stands.
var<workgroup> weights: array<f32, TOGETHER>;
var<workgroup> numbers: array<u32, TOGETHER>;

// Fetches the shares of neighbours from `first` on: once for all channels of the workgroup.
fn fetch(first: u32, count: u32, lane: u32) {
    for (var i = lane; i < count; i += 64u) {
        let distance = distances[first + i];
        weights[i] = select(0.0, dy[first + i] / distance, distance > 0.0);
        numbers[i] = indices[first + i];
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Those behind the last channel help to fetch.
    let is_channel = 64u * workgroup.x + lane < params.channels;
    let channel = select(0u, 64u * workgroup.x + lane, is_channel);
    let place = workgroup.y * params.channels + channel;
    let value = phi[place];
    var sum = vec4(0.0);
    for (var done = 0u; done < params.nearest; done += TOGETHER) {
        let count = min(params.nearest - done, TOGETHER);
        workgroupBarrier();
        fetch(workgroup.y * params.nearest + done, count, lane);
        workgroupBarrier();
        for (var i = 0u; i < count; i++) {
            sum += weights[i] * (value - prototype_at(numbers[i], channel));
        }
    }
    if is_channel {
        out[place] = sum;
    }
}
