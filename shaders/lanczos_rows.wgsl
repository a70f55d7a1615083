// The rows of Pillow's Lanczos resize, the second of its two passes. One invocation an output pixel.
//
//   x        [rows][width], 8-bit RGBA, red in the lowest byte
//   windows  [height + 1], the last one only ends the weights before it; rows are counted from x's first
//   weights  fixed point
//   out      [..][height][width], written from out_offset on
#import lanczos

struct Params {
    width: u32,
    height: u32,
    out_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> windows: array<Window>;
@group(0) @binding(3) var<storage, read> weights: array<i32>;
@group(0) @binding(4) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.width || id.y >= params.height {
        return;
    }
    let window = windows[id.y];
    let taps = windows[id.y + 1u].weight - window.weight;
    var sum = vec3(0);
    for (var i = 0u; i < taps; i++) {
        sum += weights[window.weight + i] * unpack(x[(window.first + i) * params.width + id.x]);
    }
    out[params.out_offset + id.y * params.width + id.x] = pack(round_to_8_bits(sum));
}
