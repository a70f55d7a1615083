// The tile that matrix products hold in registers: 32 x 64 outputs a workgroup of 8 invocations, 32 x 8 an invocation.
// The accumulators are named, not an array, because drivers keep only named values in registers.
//
// The kernels that import this differ in where operands come from. They define
//   alias Source                                where 32 rows of A begin
//   fn source_of(z: u32, row: u32) -> Source
//   fn load_rows(source: Source, k: u32, lane: u32) -> Rows
//   fn load_columns(z: u32, k: u32, column: u32) -> mat4x4<f32>
#import matmul_store

const LANES: u32 = 8u;
const TILE_ROWS: u32 = 32u;

// 4 values of each of 32 rows of A; the columns of a block are 4 rows.
struct Rows {
    block_0: mat4x4<f32>,
    block_1: mat4x4<f32>,
    block_2: mat4x4<f32>,
    block_3: mat4x4<f32>,
    block_4: mat4x4<f32>,
    block_5: mat4x4<f32>,
    block_6: mat4x4<f32>,
    block_7: mat4x4<f32>,
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let z = workgroup.z;
    let row = workgroup.y * TILE_ROWS;
    let column_0 = workgroup.x * 2u * LANES + lane;
    let column_1 = column_0 + LANES;
    // Past the last column anything will do, it is never stored.
    let b_column_0 = min(column_0, params.columns - 1u);
    let b_column_1 = min(column_1, params.columns - 1u);
    let source = source_of(z, row);

    var sum_0_0 = mat4x4<f32>();
    var sum_1_0 = mat4x4<f32>();
    var sum_2_0 = mat4x4<f32>();
    var sum_3_0 = mat4x4<f32>();
    var sum_4_0 = mat4x4<f32>();
    var sum_5_0 = mat4x4<f32>();
    var sum_6_0 = mat4x4<f32>();
    var sum_7_0 = mat4x4<f32>();
    var sum_0_1 = mat4x4<f32>();
    var sum_1_1 = mat4x4<f32>();
    var sum_2_1 = mat4x4<f32>();
    var sum_3_1 = mat4x4<f32>();
    var sum_4_1 = mat4x4<f32>();
    var sum_5_1 = mat4x4<f32>();
    var sum_6_1 = mat4x4<f32>();
    var sum_7_1 = mat4x4<f32>();

    for (var k = 0u; k < params.depth; k++) {
        let a = load_rows(source, k, lane);
        let b_0 = load_columns(z, k, b_column_0);
        let b_1 = load_columns(z, k, b_column_1);
        sum_0_0 += b_0 * a.block_0;
        sum_1_0 += b_0 * a.block_1;
        sum_2_0 += b_0 * a.block_2;
        sum_3_0 += b_0 * a.block_3;
        sum_4_0 += b_0 * a.block_4;
        sum_5_0 += b_0 * a.block_5;
        sum_6_0 += b_0 * a.block_6;
        sum_7_0 += b_0 * a.block_7;
        sum_0_1 += b_1 * a.block_0;
        sum_1_1 += b_1 * a.block_1;
        sum_2_1 += b_1 * a.block_2;
        sum_3_1 += b_1 * a.block_3;
        sum_4_1 += b_1 * a.block_4;
        sum_5_1 += b_1 * a.block_5;
        sum_6_1 += b_1 * a.block_6;
        sum_7_1 += b_1 * a.block_7;
    }

    // In a loop, because the epilogue would be compiled once for each of its uses. The blocks move up one place a turn:
    // as an array that is read where a variable says, they would take a driver five times as long to compile.
    let blocks = select(8u, 16u, column_1 - lane < params.columns);
    for (var i = 0u; i < blocks; i++) {
        store_block(z, row + 4u * (i % 8u), column_0 + i / 8u * LANES, sum_0_0);
        sum_0_0 = sum_1_0;
        sum_1_0 = sum_2_0;
        sum_2_0 = sum_3_0;
        sum_3_0 = sum_4_0;
        sum_4_0 = sum_5_0;
        sum_5_0 = sum_6_0;
        sum_6_0 = sum_7_0;
        sum_7_0 = sum_0_1;
        sum_0_1 = sum_1_1;
        sum_1_1 = sum_2_1;
        sum_2_1 = sum_3_1;
        sum_3_1 = sum_4_1;
        sum_4_1 = sum_5_1;
        sum_5_1 = sum_6_1;
        sum_6_1 = sum_7_1;
    }
}
