// An anomaly map painted into a render target: one triangle over the viewport, one fragment a pixel. Blending is done
// by the render pass: colour over what stands there.
//
//   map      [..][size][size], read from map_offset on
//   colours  256 sRGB colours, 8-bit RGBA, red in the lowest byte
#import bilinear
#import rgb8

struct Params {
    // From a pixel's centre in the target to its place in the map, whose pixels' centres are whole numbers.
    step: vec2<f32>,
    start: vec2<f32>,
    // The part of the target that the map covers. Beyond it, what an overlay lies over gets half its brightness, and a
    // map by itself is grey.
    covered_from: vec2<f32>,
    covered_to: vec2<f32>,
    low: f32,
    high: f32,
    opacity: f32,
    // Whether the map lies over a photograph: then opacity is a share of the position on the scale, rather than of all.
    overlay: u32,
    // Whether the target takes linear light.
    linear: u32,
    size: u32,
    map_offset: u32,
}

// Not inspected: an sRGB level, as in src/image/heatmap.rs.
const UNSEEN: vec3<f32> = vec3(96.0 / 255.0);

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> map: array<f32>;
@group(0) @binding(2) var<storage, read> colours: array<u32>;

@vertex
fn cover(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(vec2(index & 1u, index >> 1u));
    return vec4(4.0 * corner - 1.0, 0.0, 1.0);
}

fn value_at(place: vec2<f32>) -> f32 {
    let inside = clamp(place, vec2(0.0), vec2(f32(params.size - 1u)));
    let down = taps_at(inside.y, params.size);
    let across = taps_at(inside.x, params.size);
    let corners = corners_of(params.map_offset, params.size, down, across);
    let at = corners.pixel;
    return interpolate_one(vec4(map[at.x], map[at.y], map[at.z], map[at.w]), corners.share);
}

// Where a value lies on the scale, 0 to 1; an empty scale is a step.
fn position_of(value: f32) -> f32 {
    if params.high > params.low {
        return clamp((0.5 * value - 0.5 * params.low) / (0.5 * params.high - 0.5 * params.low), 0.0, 1.0);
    }
    return select(0.0, 1.0, value > params.low);
}

// IEC 61966-2-1.
fn decode_srgb(encoded: vec3<f32>) -> vec3<f32> {
    return select(pow((encoded + 0.055) / 1.055, vec3(2.4)), encoded / 12.92, encoded <= vec3(0.04045));
}

// An sRGB colour as the target takes it.
fn in_target(colour: vec3<f32>) -> vec3<f32> {
    if params.linear != 0u {
        return decode_srgb(colour);
    }
    return colour;
}

@fragment
fn paint(@builtin(position) pixel: vec4<f32>) -> @location(0) vec4<f32> {
    let over_photograph = params.overlay != 0u;
    if any(pixel.xy < params.covered_from) || any(pixel.xy >= params.covered_to) {
        if over_photograph {
            return vec4(0.0, 0.0, 0.0, 0.5);
        }
        return vec4(in_target(UNSEEN), 1.0);
    }
    let position = position_of(value_at(pixel.xy * params.step + params.start));
    let colour = in_target(rgb_of(colours[u32(position * 255.0 + 0.5)]));
    return vec4(colour, params.opacity * select(1.0, position, over_photograph));
}
