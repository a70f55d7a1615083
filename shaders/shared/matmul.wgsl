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

fn load_b(index: u32) -> vec4<f32> {
    let value = b[index];
#ifdef WEIGHTS_F16
    return vec4(unpack2x16float(value.x), unpack2x16float(value.y));
#else
    return value;
#endif
}

// Four neighbouring rows of B from the `k`th on, as the columns of a matrix: (this) * (4 values of a row of A) is their
// share of 4 outputs. `first` is where the column of B begins.
fn load_b_block(first: u32, k: u32) -> mat4x4<f32> {
    let row = first + k * params.columns;
    return mat4x4(
        load_b(row),
        load_b(row + params.columns),
        load_b(row + 2u * params.columns),
        load_b(row + 3u * params.columns),
    );
}

// sums + b * a as chains of fused multiply-adds: a mat4x4 product would be made first and added then, a quarter more
// arithmetic. A column of `a` has 4 values of a row of A, a column of `sums` 4 outputs of that row.
fn add_product(sums: mat4x4<f32>, b: mat4x4<f32>, a: mat4x4<f32>) -> mat4x4<f32> {
    return mat4x4(
        add_row(sums[0], b, a[0]),
        add_row(sums[1], b, a[1]),
        add_row(sums[2], b, a[2]),
        add_row(sums[3], b, a[3]),
    );
}

fn add_row(sum: vec4<f32>, b: mat4x4<f32>, a: vec4<f32>) -> vec4<f32> {
    return fma(b[3], vec4(a.w), fma(b[2], vec4(a.z), fma(b[1], vec4(a.y), fma(b[0], vec4(a.x), sum))));
}
