// What the matrix products with operands in buffers share; they differ in how they tile the work.
//
//   b  weights [z][K][columns]; one element = 4 neighbouring columns, as f32 or packed f16
#import matmul_rows
#import matmul_store

#ifdef WEIGHTS_F16
@group(0) @binding(2) var<storage, read> b: array<vec2<u32>>;
#else
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#endif

// Columns 4 * column .. 4 * column + 3 of row `k` of B.
fn load_b(z: u32, k: u32, column: u32) -> vec4<f32> {
    let value = b[z * params.b_batch + k * params.columns + column];
#ifdef WEIGHTS_F16
    return vec4(unpack2x16float(value.x), unpack2x16float(value.y));
#else
    return value;
#endif
}

// Four rows of B as the columns of a matrix: (this) * (4 values of a row of A) is their share of 4 outputs.
fn load_b_block(z: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        load_b(z, 4u * k, column),
        load_b(z, 4u * k + 1u, column),
        load_b(z, 4u * k + 2u, column),
        load_b(z, 4u * k + 3u, column),
    );
}
