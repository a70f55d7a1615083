// Matrix product for adapters that run shaders on a CPU. There every load of a lane costs far more than its arithmetic
// and workgroup memory is no faster than a buffer, so the tile is as large as compiles quickly and each value of B is
// loaded once for 32 rows. See shared/matmul.wgsl for the operands.
#import matmul
#import matmul_registers

struct Source {
    z: u32,
    row: u32,
}

fn source_of(z: u32, row: u32) -> Source {
    return Source(z, row);
}

// Past the last row anything will do, it is never stored.
fn a_row(source: Source, row: u32, k: u32) -> vec4<f32> {
    return load_a(row_of_a(source.z, min(source.row + row, params.rows - 1u)), k);
}

fn a_block(source: Source, row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(
        a_row(source, row, k),
        a_row(source, row + 1u, k),
        a_row(source, row + 2u, k),
        a_row(source, row + 3u, k),
    );
}

fn load_rows(source: Source, k: u32, lane: u32) -> Rows {
    return Rows(
        a_block(source, 0u, k),
        a_block(source, 4u, k),
        a_block(source, 8u, k),
        a_block(source, 12u, k),
        a_block(source, 16u, k),
        a_block(source, 20u, k),
        a_block(source, 24u, k),
        a_block(source, 28u, k),
    );
}

fn load_columns(z: u32, k: u32, column: u32) -> mat4x4<f32> {
    return load_b_block(z * params.b_batch + column, 4u * k);
}
