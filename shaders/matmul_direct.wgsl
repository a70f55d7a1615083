// Matrix product where workgroup memory or its barriers are slow: as matmul_tiled, 64 x 64 outputs a workgroup and 8 x
// 4 an invocation, with both operands read where they lie. The 16 invocations that differ in x read neighbouring vec4s
// of B and the same vec4 of A, which the caches then hold. See shared/matmul.wgsl for the operands.
#import matmul

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 16u;

// Four neighbouring rows of A.
alias Rows = array<Row, 4>;

// Past the last row anything will do, it is never stored.
fn rows_of_a(z: u32, row: u32) -> Rows {
    let last = params.rows - 1u;
    return Rows(
        row_of_a(z, min(row, last)),
        row_of_a(z, min(row + 1u, last)),
        row_of_a(z, min(row + 2u, last)),
        row_of_a(z, min(row + 3u, last)),
    );
}

fn a_block(rows: Rows, k: u32) -> mat4x4<f32> {
    return mat4x4(load_a(rows[0], k), load_a(rows[1], k), load_a(rows[2], k), load_a(rows[3], k));
}

@compute @workgroup_size(16, 8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
    let part = part_of(workgroup.z);
    let row = workgroup.y * TILE_ROWS + 8u * local.y;
    let column = workgroup.x * TILE_COLUMNS + local.x;
    if row >= params.rows || column >= params.columns {
        return;
    }
    let upper_rows = rows_of_a(part.z, row);
    let lower_rows = rows_of_a(part.z, row + 4u);
    let b_first = part.z * params.b_batch + column;
    var upper = mat4x4<f32>();
    var lower = mat4x4<f32>();
    for (var k = part.first_k; k < part.end_k; k++) {
        let b_block = load_b_block(b_first, 4u * k);
        upper = add_product(upper, b_block, a_block(upper_rows, k));
        lower = add_product(lower, b_block, a_block(lower_rows, k));
    }
    store_block(workgroup.z, row, column, upper);
    store_block(workgroup.z, row + 4u, column, lower);
}
