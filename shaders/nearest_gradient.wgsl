// Gradient of the distances to the nearest prototypes with respect to the descriptors: of |phi - C| it is
// (phi - C) / |phi - C|, and 0 where the distance is 0. One invocation 4 channels of a position.
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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.channels {
        return;
    }
    let place = id.y * params.channels + id.x;
    let value = phi[place];
    var sum = vec4(0.0);
    for (var i = id.y * params.nearest; i < (id.y + 1u) * params.nearest; i++) {
        let distance = distances[i];
        if distance > 0.0 {
            sum += (dy[i] / distance) * (value - prototype_at(indices[i], id.x));
        }
    }
    out[place] = sum;
}
