// What the matrix products with operands in buffers share; they differ in how they tile the work.
//
//   b  weights [z][K][columns]; one element = 4 neighbouring columns, as f32 or packed f16
#import matmul_rows
#import matmul_store

#ifdef HALVES
alias FactorBlock = mat4x4<f16>;

@group(0) @binding(5) var<storage, read> b: array<Factors>;

fn load_b(index: u32) -> Factors {
    return b[index];
}
#else
alias FactorBlock = mat4x4<f32>;

#ifdef WEIGHTS_F16
@group(0) @binding(5) var<storage, read> b: array<vec2<u32>>;

fn load_b(index: u32) -> Factors {
    let value = b[index];
    return vec4(unpack2x16float(value.x), unpack2x16float(value.y));
}
#else
@group(0) @binding(5) var<storage, read> b: array<vec4<f32>>;

fn load_b(index: u32) -> Factors {
    return b[index];
}
#endif
#endif

// Four neighbouring rows of B from the `k`th on, as the columns of a matrix: (this) * (4 values of a row of A) is their
// share of 4 outputs. `first` is where the column of B begins.
fn load_b_block(first: u32, k: u32) -> FactorBlock {
    let row = first + k * params.columns;
    return FactorBlock(
        load_b(row),
        load_b(row + params.columns),
        load_b(row + 2u * params.columns),
        load_b(row + 3u * params.columns),
    );
}

// sums + b * a as chains of fused multiply-adds: a mat4x4 product would be made first and added then, a quarter more
// arithmetic. A column of `a` has 4 values of a row of A, a column of `sums` 4 outputs of that row.
fn add_product(sums: FactorBlock, b: FactorBlock, a: FactorBlock) -> FactorBlock {
    return FactorBlock(
        add_row(sums[0], b, a[0]),
        add_row(sums[1], b, a[1]),
        add_row(sums[2], b, a[2]),
        add_row(sums[3], b, a[3]),
    );
}

fn add_row(sum: Factors, b: FactorBlock, a: Factors) -> Factors {
    return fma(b[3], Factors(a.w), fma(b[2], Factors(a.z), fma(b[1], Factors(a.y), fma(b[0], Factors(a.x), sum))));
}
