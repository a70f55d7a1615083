// Gradient of a bilinear resize: its transpose. Each pixel of the input gathers from the output's pixels that were
// made of it. With ADD defined the gradient is added to what is there. One invocation a value of an input pixel.
//
//   dy   [batch][out_height][out_width][dy_stride] vec4s, of which `channels` from dy_offset on are read, or as many
//        floats with SINGLE defined
//   out  [batch][height][width][channels], the same
#import bilinear
#import pixel

struct Params {
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    dy_offset: u32,
    dy_stride: u32,
    align_corners: u32,
}

#ifdef SINGLE
alias Value = f32;
#else
alias Value = vec4<f32>;
#endif

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<Value>;
@group(0) @binding(2) var<storage, read_write> out: array<Value>;

// How much of the resized pixel `position` is the input's pixel `place`.
fn share(place: u32, position: u32, size: u32, out_size: u32) -> f32 {
    var taps = taps_half_pixel(position, size, out_size);
    if params.align_corners != 0u {
        taps = taps_align_corners(position, size, out_size);
    }
    return select(0.0, 1.0 - taps.weight, taps.low == place) + select(0.0, taps.weight, taps.high == place);
}

// First and last of the resized pixels that are made of the input's pixel `place`: those that lie less than a pixel of
// the input from it, and beyond the image's first and last pixel all. A little more than that, for shares decide.
fn reach(place: u32, size: u32, out_size: u32) -> vec2<u32> {
    var scale = f32(out_size) / f32(size);
    var middle = (f32(place) + 0.5) * scale - 0.5;
    if params.align_corners != 0u {
        scale = f32(out_size - 1u) / f32(max(size - 1u, 1u));
        middle = f32(place) * scale;
    }
    let first = u32(max(ceil(middle - scale - 0.01), 0.0));
    let last = min(u32(max(floor(middle + scale + 0.01), 0.0)), out_size - 1u);
    return vec2(select(first, 0u, place == 0u), select(last, out_size - 1u, place == size - 1u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let p = pixel_of(id, params.height, params.width, params.channels);
    if p.x >= params.width {
        return;
    }
    let down = reach(p.y, params.height, params.out_height);
    let across = reach(p.x, params.width, params.out_width);
    var sum = Value();
    for (var y = down.x; y <= down.y; y++) {
        let share_down = share(p.y, y, params.height, params.out_height);
        if share_down == 0.0 {
            continue;
        }
        let first = (p.image * params.out_height + y) * params.out_width;
        for (var x = across.x; x <= across.y; x++) {
            let gradient = dy[params.dy_offset + (first + x) * params.dy_stride + p.channel];
            sum += share_down * share(p.x, x, params.width, params.out_width) * gradient;
        }
    }
    let place = p.index * params.channels + p.channel;
#ifdef ADD
    sum += out[place];
#endif
    out[place] = sum;
}
