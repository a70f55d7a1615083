// Some rows of a matrix side by side as columns: the right operand of a product that compares other rows with them. One
// invocation a channel of 4 rows.
//
//   x        [rows][channels]
//   numbers  [columns], of rows of x
//   out      [channels][columns / 4] vec4s; with TEXTURE defined rows of channels run down
struct Params {
    channels: u32,
    // In vec4s.
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> numbers: array<vec4<u32>>;
#ifdef TEXTURE
@group(0) @binding(3) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f32>>;
#endif

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.columns || id.y >= params.channels {
        return;
    }
    let first = numbers[id.x] * params.channels + id.y;
    let value = vec4(x[first.x], x[first.y], x[first.z], x[first.w]);
#ifdef TEXTURE
    textureStore(out, vec2(id.x, id.y), 0, value);
#else
    out[id.y * params.columns + id.x] = value;
#endif
}
