// What brings each photograph to one light: the gain and offset after which the luminance of its pixels has the median
// and the range that are wanted, as far as the gain may go. One workgroup a photograph.
//
//   pixels  [batch][pixels], red in the lowest byte, alpha ignored
//   out     [batch] of (gain, offset) for values from 0 to 1
#import rgb8

struct Params {
    // Wanted, from 0 to 1.
    level: f32,
    contrast: f32,
    // The largest gain; the smallest is its reciprocal.
    most: f32,
    pixels: u32,
    // Of luminances in rising order, the places of the lower and the upper end of the range and of the median.
    ranks: vec3<u32>,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<vec2<f32>>;

// An invocation for each luminance.
const LUMINANCES: u32 = 256u;

var<workgroup> counts: array<atomic<u32>, LUMINANCES>;
var<workgroup> found: array<u32, 3>;

// ITU-R BT.601 in fixed point, as Pillow has it.
fn luminance(rgb: vec3<u32>) -> u32 {
    return (19595u * rgb.r + 38470u * rgb.g + 7471u * rgb.b + 32768u) >> 16u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    atomicStore(&counts[lane], 0u);
    workgroupBarrier();
    let first = workgroup.x * params.pixels;
    for (var i = lane; i < params.pixels; i += LUMINANCES) {
        atomicAdd(&counts[luminance(unpack_rgb(pixels[first + i]))], 1u);
    }
    workgroupBarrier();
    var below = 0u;
    for (var darker = 0u; darker < lane; darker++) {
        below += atomicLoad(&counts[darker]);
    }
    let up_to = below + atomicLoad(&counts[lane]);
    for (var i = 0u; i < 3u; i++) {
        if below <= params.ranks[i] && params.ranks[i] < up_to {
            found[i] = lane;
        }
    }
    workgroupBarrier();
    if lane == 0u {
        let contrast = f32(found[1] - found[0]) / 255.0;
        // What has no contrast keeps it.
        let gain = select(1.0, clamp(params.contrast / contrast, 1.0 / params.most, params.most), contrast > 0.0);
        out[workgroup.x] = vec2(gain, params.level - gain * f32(found[2]) / 255.0);
    }
}
