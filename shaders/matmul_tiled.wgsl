// Matrix product for GPUs: 64 x 64 outputs a workgroup, both operands staged through workgroup memory 16 deep, 8 x 4
// outputs an invocation as two 4 x 4 blocks. See shared/matmul.wgsl for the operands.
//
// 8 KiB of workgroup memory and about 60 registers let several workgroups share a core on every kind of GPU; the 16
// invocations that differ in x read neighbouring vec4s of B and the same vec4 of A.
#import matmul

const TILE_ROWS: u32 = 64u;
const TILE_COLUMNS: u32 = 16u;
const TILE_DEPTH: u32 = 4u;
const INVOCATIONS: u32 = 128u;

var<workgroup> a_tile: array<array<vec4<f32>, TILE_DEPTH>, TILE_ROWS>;
var<workgroup> b_tile: array<array<vec4<f32>, TILE_COLUMNS>, 4u * TILE_DEPTH>;

fn a_block(row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(a_tile[row][k], a_tile[row + 1u][k], a_tile[row + 2u][k], a_tile[row + 3u][k]);
}

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let z = workgroup.z;
    let first_row = workgroup.y * TILE_ROWS;
    let first_column = workgroup.x * TILE_COLUMNS;
    let row = 8u * local.y;
    var upper = mat4x4<f32>();
    var lower = mat4x4<f32>();

    for (var k = 0u; k < params.depth; k += TILE_DEPTH) {
        for (var i = index; i < TILE_ROWS * TILE_DEPTH; i += INVOCATIONS) {
            let tile_row = i / TILE_DEPTH;
            let tile_k = i % TILE_DEPTH;
            // Past the last row anything will do, it is never stored; past the last k only zero will.
            let source_row = min(first_row + tile_row, params.rows - 1u);
            var value = vec4(0.0);
            if k + tile_k < params.depth {
                value = load_a(z, source_row, k + tile_k);
            }
            a_tile[tile_row][tile_k] = value;
        }
        for (var i = index; i < 4u * TILE_DEPTH * TILE_COLUMNS; i += INVOCATIONS) {
            let tile_k = i / TILE_COLUMNS;
            let tile_column = i % TILE_COLUMNS;
            let source_column = min(first_column + tile_column, params.columns - 1u);
            var value = vec4(0.0);
            if 4u * k + tile_k < 4u * params.depth {
                value = load_b(z, 4u * k + tile_k, source_column);
            }
            b_tile[tile_k][tile_column] = value;
        }
        workgroupBarrier();
        for (var i = 0u; i < TILE_DEPTH; i++) {
            let b_block = mat4x4(
                b_tile[4u * i][local.x],
                b_tile[4u * i + 1u][local.x],
                b_tile[4u * i + 2u][local.x],
                b_tile[4u * i + 3u][local.x],
            );
            upper += b_block * a_block(row, i);
            lower += b_block * a_block(row + 4u, i);
        }
        workgroupBarrier();
    }

    store_block(z, first_row + row, first_column + local.x, upper);
    store_block(z, first_row + row + 4u, first_column + local.x, lower);
}
