// Matrix product for adapters that run shaders on a CPU with subgroups of 8 invocations: as matmul_register, with
// both operands in textures. Such an adapter loads the 4 values of a texel at the price of one value of a buffer. Each
// invocation of a subgroup loads one row of A and hands it to the others.
//
// (naga knows subgroup operations without, and does not know, the `enable subgroups` that browsers ask for: this kernel
// is for native adapters.)
//
//   a  a row texture
//   b  weights, a layer a matrix: a texel = 4 neighbouring columns, rows of B run down
#import matmul_store
#import row_texture

@group(0) @binding(1) var a: texture_storage_2d_array<rgba32float, read>;
#ifdef WEIGHTS_F16
@group(0) @binding(2) var b: texture_storage_2d_array<rgba16float, read>;
#else
@group(0) @binding(2) var b: texture_storage_2d_array<rgba32float, read>;
#endif

const LANES: u32 = 8u;

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

// Four rows of B as the columns of a matrix: (this) * (4 values of a row of A) is their share of 4 outputs.
fn load_b_block(z: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        textureLoad(b, vec2(column, 4u * k), z),
        textureLoad(b, vec2(column, 4u * k + 1u), z),
        textureLoad(b, vec2(column, 4u * k + 2u), z),
        textureLoad(b, vec2(column, 4u * k + 3u), z),
    );
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let z = workgroup.z;
    let row = workgroup.y * TILE_ROWS;
    let column_0 = workgroup.x * 2u * LANES + lane;
    let column_1 = column_0 + LANES;
    let source_0 = min(column_0, params.columns - 1u);
    let source_1 = min(column_1, params.columns - 1u);

    // A layer holds whole tiles. Past the last row anything will do, it is never stored.
    let place = row_place(z, row, params.rows);
    let a_row = place.y + lane;

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
        let rows_0 = textureLoad(a, vec2(k, a_row), place.x);
        let rows_1 = textureLoad(a, vec2(k, a_row + 8u), place.x);
        let rows_2 = textureLoad(a, vec2(k, a_row + 16u), place.x);
        let rows_3 = textureLoad(a, vec2(k, a_row + 24u), place.x);
        let a_0 = broadcast_rows_0_to_3(rows_0);
        let a_1 = broadcast_rows_4_to_7(rows_0);
        let a_2 = broadcast_rows_0_to_3(rows_1);
        let a_3 = broadcast_rows_4_to_7(rows_1);
        let a_4 = broadcast_rows_0_to_3(rows_2);
        let a_5 = broadcast_rows_4_to_7(rows_2);
        let a_6 = broadcast_rows_0_to_3(rows_3);
        let a_7 = broadcast_rows_4_to_7(rows_3);
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

    // In a loop, because the epilogue is long and would be compiled once for each of its uses.
    var sums = array<mat4x4<f32>, 16>(
        sum_0_0, sum_1_0, sum_2_0, sum_3_0, sum_4_0, sum_5_0, sum_6_0, sum_7_0,
        sum_0_1, sum_1_1, sum_2_1, sum_3_1, sum_4_1, sum_5_1, sum_6_1, sum_7_1,
    );
    for (var i = 0u; i < 16u; i++) {
        store_block(z, row + 4u * (i % 8u), column_0 + i / 8u * LANES, sums[i]);
    }
}
