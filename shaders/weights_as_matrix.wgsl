// What is in a buffer as right operands of products: a convolution's weights or other matrices as they are, or, with
// TRANSPOSED defined, the weights of the convolution that takes gradients of its output to gradients of its input
// (stride 1, padding that keeps the size): inputs and outputs change places, and the kernel is turned around. One
// invocation 4 columns of a row.
//
//   x    [taps][inputs][outputs], or [matrices][rows][columns]
//   out  [matrices][taps * rows][columns] vec4s; with TEXTURE defined a layer a matrix, whose rows run down
struct Params {
    taps: u32,
    rows: u32,
    // In vec4s.
    columns: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
#ifdef TEXTURE
@group(0) @binding(2) var out: texture_storage_2d_array<rgba32float, write>;
#else
@group(0) @binding(2) var<storage, read_write> out: array<vec4<f32>>;
#endif

@compute @workgroup_size(16, 4)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= params.columns || id.y >= params.taps * params.rows {
        return;
    }
#ifdef TRANSPOSED
    let tap = params.taps - 1u - id.y / params.rows;
    let first = (tap * 4u * params.columns + 4u * id.x) * params.rows + id.y % params.rows;
    let stride = params.rows;
#else
    let first = 4u * ((id.z * params.taps * params.rows + id.y) * params.columns + id.x);
    let stride = 1u;
#endif
    let value = vec4(x[first], x[first + stride], x[first + 2u * stride], x[first + 3u * stride]);
#ifdef TEXTURE
    textureStore(out, vec2(id.x, id.y), id.z, value);
#else
    out[(id.z * params.taps * params.rows + id.y) * params.columns + id.x] = value;
#endif
}
