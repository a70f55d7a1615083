// Matrix product for adapters that run shaders on a CPU: 32 x 64 outputs a workgroup of 8 invocations, 32 x 8 an
// invocation, all held in registers. There every load of a lane costs far more than its arithmetic and workgroup memory
// is no faster than a buffer, so the tile is as large as compiles quickly and each value of B is loaded once for 32
// rows. The accumulators are named, not an array, because drivers keep only named values in registers.
#import matmul

const LANES: u32 = 8u;
const TILE_ROWS: u32 = 32u;


// Past the last row anything will do, it is never stored.
fn a_row(z: u32, row: u32, k: u32) -> vec4<f32> {
    return load_a(z, min(row, params.rows - 1u), k);
}

fn a_block(z: u32, row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(a_row(z, row, k), a_row(z, row + 1u, k), a_row(z, row + 2u, k), a_row(z, row + 3u, k));
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let z = workgroup.z;
    let row = workgroup.y * TILE_ROWS;
    let column_0 = workgroup.x * 2u * LANES + lane;
    let column_1 = column_0 + LANES;
    let source_0 = min(column_0, params.columns - 1u);
    let source_1 = min(column_1, params.columns - 1u);

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
        let a_0 = a_block(z, row, k);
        let a_1 = a_block(z, row + 4u, k);
        let a_2 = a_block(z, row + 8u, k);
        let a_3 = a_block(z, row + 12u, k);
        let a_4 = a_block(z, row + 16u, k);
        let a_5 = a_block(z, row + 20u, k);
        let a_6 = a_block(z, row + 24u, k);
        let a_7 = a_block(z, row + 28u, k);
        let b_0 = load_b_block(z, k, source_0);
        let b_1 = load_b_block(z, k, source_1);
        sum_0_0 += b_0 * a_0;
        sum_1_0 += b_0 * a_1;
        sum_2_0 += b_0 * a_2;
        sum_3_0 += b_0 * a_3;
        sum_4_0 += b_0 * a_4;
        sum_5_0 += b_0 * a_5;
        sum_6_0 += b_0 * a_6;
        sum_7_0 += b_0 * a_7;
        sum_0_1 += b_1 * a_0;
        sum_1_1 += b_1 * a_1;
        sum_2_1 += b_1 * a_2;
        sum_3_1 += b_1 * a_3;
        sum_4_1 += b_1 * a_4;
        sum_5_1 += b_1 * a_5;
        sum_6_1 += b_1 * a_6;
        sum_7_1 += b_1 * a_7;
    }

    store_block(z, row, column_0, sum_0_0);
    store_block(z, row + 4u, column_0, sum_1_0);
    store_block(z, row + 8u, column_0, sum_2_0);
    store_block(z, row + 12u, column_0, sum_3_0);
    store_block(z, row + 16u, column_0, sum_4_0);
    store_block(z, row + 20u, column_0, sum_5_0);
    store_block(z, row + 24u, column_0, sum_6_0);
    store_block(z, row + 28u, column_0, sum_7_0);
    store_block(z, row, column_1, sum_0_1);
    store_block(z, row + 4u, column_1, sum_1_1);
    store_block(z, row + 8u, column_1, sum_2_1);
    store_block(z, row + 12u, column_1, sum_3_1);
    store_block(z, row + 16u, column_1, sum_4_1);
    store_block(z, row + 20u, column_1, sum_5_1);
    store_block(z, row + 24u, column_1, sum_6_1);
    store_block(z, row + 28u, column_1, sum_7_1);
}
