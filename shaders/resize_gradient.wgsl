// Gradient of a bilinear resize: its transpose. Each pixel of the input gathers from the output's pixels that were
// made of it. With ADD defined the gradient is added to what is there. One invocation a channel of an input pixel.
//
//   dy   [batch][out_height][out_width][dy_stride], of which `channels` from dy_offset on are read
//   out  [batch][height][width][channels]
#import bilinear

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

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// How much of the resized pixel `position` is the input's pixel `place`.
fn share(place: u32, position: u32, size: u32, out_size: u32) -> f32 {
    var taps = taps_half_pixel(position, size, out_size);
    if params.align_corners != 0u {
        taps = taps_align_corners(position, size, out_size);
    }
    return select(0.0, 1.0 - taps.weight, taps.low == place) + select(0.0, taps.weight, taps.high == place);
}

// First and last of the resized pixels that may be made of the input's pixel `place`: generous, for shares decide.
fn reach(place: u32, size: u32, out_size: u32) -> vec2<u32> {
    var scale = f32(out_size) / f32(size);
    var middle = f32(place) + 0.5;
    if params.align_corners != 0u {
        scale = f32(out_size - 1u) / f32(max(size - 1u, 1u));
        middle = f32(place);
    }
    let first = max(floor((middle - 1.0) * scale) - 1.0, 0.0);
    let last = ceil((middle + 1.0) * scale) + 1.0;
    return vec2(u32(first), min(u32(last), out_size - 1u));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width * params.channels {
        return;
    }
    let channel = id.x % params.channels;
    let column = id.x / params.channels;
    let row = id.y % params.height;
    let image = id.y / params.height;
    let down = reach(row, params.height, params.out_height);
    let across = reach(column, params.width, params.out_width);
    var sum = 0.0;
    for (var y = down.x; y <= down.y; y++) {
        let share_down = share(row, y, params.height, params.out_height);
        if share_down == 0.0 {
            continue;
        }
        let first = (image * params.out_height + y) * params.out_width;
        for (var x = across.x; x <= across.y; x++) {
            let gradient = dy[params.dy_offset + (first + x) * params.dy_stride + channel];
            sum += share_down * share(column, x, params.width, params.out_width) * gradient;
        }
    }
    let place = (id.y * params.width + column) * params.channels + channel;
#ifdef ADD
    sum += out[place];
#endif
    out[place] = sum;
}
