// The columns of Pillow's Lanczos resize, the first of its two passes, read from a host's photograph. One invocation
// one output pixel of one row of the photograph.
//
//   photograph  TEXTURE: the texels of a texture, grey or RGB, alpha ignored; numbers from 0 to 1, clamped
//               else: pixels of 8-bit RGBA, red in the lowest byte, alpha ignored, from `left` on, `stride` a row
//   windows     [width + 1], the last one only ends the weights before it
//   weights     fixed point
//   out         [rows][width], 8-bit RGBA
#import lanczos

struct Params {
    // The photograph's first column (without a texture: its first pixel) and the first row that is needed.
    left: u32,
    top: u32,
    rows: u32,
    width: u32,
    stride: u32,
    // Whether the texture's numbers are linear light, and whether its first channel is all it has.
    linear: u32,
    grey: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
#ifdef TEXTURE
@group(0) @binding(1) var photograph: texture_2d<f32>;
#else
@group(0) @binding(1) var<storage, read> photograph: array<u32>;
#endif
@group(0) @binding(2) var<storage, read> windows: array<Window>;
@group(0) @binding(3) var<storage, read> weights: array<i32>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

#ifdef TEXTURE
// IEC 61966-2-1.
fn encode_srgb(light: vec3<f32>) -> vec3<f32> {
    return select(1.055 * pow(light, vec3(1.0 / 2.4)) - 0.055, 12.92 * light, light <= vec3(0.0031308));
}

fn load(x: u32, y: u32) -> vec3<i32> {
    let texel = textureLoad(photograph, vec2(params.left + x, y), 0).rgb;
    var colour = clamp(select(texel, texel.rrr, params.grey != 0u), vec3(0.0), vec3(1.0));
    if params.linear != 0u {
        colour = encode_srgb(colour);
    }
    return vec3<i32>(colour * 255.0 + 0.5);
}
#else
fn load(x: u32, y: u32) -> vec3<i32> {
    return unpack(photograph[params.left + y * params.stride + x]);
}
#endif

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width || id.y >= params.rows {
        return;
    }
    let window = windows[id.x];
    let taps = windows[id.x + 1u].weight - window.weight;
    var sum = vec3(0);
    for (var i = 0u; i < taps; i++) {
        sum += weights[window.weight + i] * load(window.first + i, params.top + id.y);
    }
    out[id.y * params.width + id.x] = pack(round_to_8_bits(sum));
}
