// Matrix product for adapters that run shaders on a CPU with subgroups of 8 invocations: as matmul_register, with
// both operands in textures. Such an adapter loads the 4 values of a texel at the price of one value of a buffer. Each
// invocation of a subgroup loads one row of A and hands it to the others.
//
// (naga knows subgroup operations without, and does not know, the `enable subgroups` that browsers ask for: this kernel
// is for native adapters.)
//
//   a  a row texture
//   b  weights, a layer a matrix: a texel = 4 neighbouring columns, rows of B run down
#import matmul_registers
#import row_texture

@group(0) @binding(1) var a: texture_storage_2d_array<rgba32float, read>;
#ifdef WEIGHTS_F16
@group(0) @binding(5) var b: texture_storage_2d_array<rgba16float, read>;
#else
@group(0) @binding(5) var b: texture_storage_2d_array<rgba32float, read>;
#endif

// Layer and row of the texture. A layer holds whole tiles; past the last row anything will do, it is never stored.
alias Source = vec2<u32>;

fn source_of(z: u32, row: u32) -> Source {
    return row_place(z, row, params.rows);
}

fn broadcast_rows_0_to_3(value: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        subgroupBroadcast(value, 0u),
        subgroupBroadcast(value, 1u),
        subgroupBroadcast(value, 2u),
        subgroupBroadcast(value, 3u),
    );
}

fn broadcast_rows_4_to_7(value: vec4<f32>) -> mat4x4<f32> {
    return mat4x4(
        subgroupBroadcast(value, 4u),
        subgroupBroadcast(value, 5u),
        subgroupBroadcast(value, 6u),
        subgroupBroadcast(value, 7u),
    );
}

fn load_rows(source: Source, k: u32, lane: u32) -> Rows {
    let row = source.y + lane;
    let rows_0 = textureLoad(a, vec2(k, row), source.x);
    let rows_1 = textureLoad(a, vec2(k, row + 8u), source.x);
    let rows_2 = textureLoad(a, vec2(k, row + 16u), source.x);
    let rows_3 = textureLoad(a, vec2(k, row + 24u), source.x);
    return Rows(
        broadcast_rows_0_to_3(rows_0),
        broadcast_rows_4_to_7(rows_0),
        broadcast_rows_0_to_3(rows_1),
        broadcast_rows_4_to_7(rows_1),
        broadcast_rows_0_to_3(rows_2),
        broadcast_rows_4_to_7(rows_2),
        broadcast_rows_0_to_3(rows_3),
        broadcast_rows_4_to_7(rows_3),
    );
}

// Four rows of B as the columns of a matrix: (this) * (4 values of a row of A) is their share of 4 outputs.
fn load_columns(z: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        textureLoad(b, vec2(column, 4u * k), z),
        textureLoad(b, vec2(column, 4u * k + 1u), z),
        textureLoad(b, vec2(column, 4u * k + 2u), z),
        textureLoad(b, vec2(column, 4u * k + 3u), z),
    );
}
