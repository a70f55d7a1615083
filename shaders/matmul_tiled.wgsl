// Matrix product for GPUs: both operands staged through workgroup memory 16 deep, 8 x 4 outputs an invocation as two 4 x 4
// blocks; with WIDE defined 8 x 8 as four. See shared/matmul.wgsl for the operands.
//
// A workgroup computes TILE_ROWS x 64 outputs (WIDE: x 128). The usual 64 x 64 takes 8 KiB of workgroup memory and
// about 60 registers, so that several workgroups share a core on every kind of GPU. The 16 invocations that differ in x
// read neighbouring vec4s of B and the same vec4 of A.
#import matmul

// A multiple of 8.
override TILE_ROWS: u32 = 64u;

#ifdef WIDE
const COLUMN_BLOCKS: u32 = 2u;
#else
const COLUMN_BLOCKS: u32 = 1u;
#endif
const COLUMN_GROUPS: u32 = 16u;
const TILE_COLUMNS: u32 = COLUMN_GROUPS * COLUMN_BLOCKS;
const TILE_DEPTH: u32 = 4u;
override INVOCATIONS: u32 = COLUMN_GROUPS * TILE_ROWS / 8u;

var<workgroup> a_tile: array<array<vec4<f32>, TILE_DEPTH>, TILE_ROWS>;
var<workgroup> b_tile: array<array<vec4<f32>, TILE_COLUMNS>, 4u * TILE_DEPTH>;

// The tile's rows of A, from row `first` on, at k .. k + TILE_DEPTH - 1. Past the last row anything will do, it is never stored;
// past the last k only zero will.
fn stage_a(z: u32, first: u32, k: u32, index: u32) {
    for (var i = index; i < TILE_ROWS * TILE_DEPTH; i += INVOCATIONS) {
        let tile_row = i / TILE_DEPTH;
        let tile_k = i % TILE_DEPTH;
        var value = vec4(0.0);
        if k + tile_k < params.depth {
            value = load_a(z, min(first + tile_row, params.rows - 1u), k + tile_k);
        }
        a_tile[tile_row][tile_k] = value;
    }
}

fn stage_b(z: u32, first: u32, k: u32, index: u32) {
    for (var i = index; i < 4u * TILE_DEPTH * TILE_COLUMNS; i += INVOCATIONS) {
        let tile_k = i / TILE_COLUMNS;
        let tile_column = i % TILE_COLUMNS;
        var value = vec4(0.0);
        if 4u * k + tile_k < 4u * params.depth {
            value = load_b(z, 4u * k + tile_k, min(first + tile_column, params.columns - 1u));
        }
        b_tile[tile_k][tile_column] = value;
    }
}

fn a_block(row: u32, k: u32) -> mat4x4<f32> {
    return mat4x4(a_tile[row][k], a_tile[row + 1u][k], a_tile[row + 2u][k], a_tile[row + 3u][k]);
}

fn b_block(k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        b_tile[4u * k][column],
        b_tile[4u * k + 1u][column],
        b_tile[4u * k + 2u][column],
        b_tile[4u * k + 3u][column],
    );
}

@compute @workgroup_size(COLUMN_GROUPS, TILE_ROWS / 8u)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let z = workgroup.z;
    let first_row = workgroup.y * TILE_ROWS;
    let first_column = workgroup.x * TILE_COLUMNS;
    let row = 8u * local.y;
    // The accumulators are named, not an array, because drivers keep only named values in registers.
    var upper = mat4x4<f32>();
    var lower = mat4x4<f32>();
#ifdef WIDE
    var upper_right = mat4x4<f32>();
    var lower_right = mat4x4<f32>();
#endif

    for (var k = 0u; k < params.depth; k += TILE_DEPTH) {
        stage_a(z, first_row, k, index);
        stage_b(z, first_column, k, index);
        workgroupBarrier();
        for (var i = 0u; i < TILE_DEPTH; i++) {
            let upper_a = a_block(row, i);
            let lower_a = a_block(row + 4u, i);
            let b = b_block(i, local.x);
            upper += b * upper_a;
            lower += b * lower_a;
#ifdef WIDE
            let b_right = b_block(i, local.x + COLUMN_GROUPS);
            upper_right += b_right * upper_a;
            lower_right += b_right * lower_a;
#endif
        }
        workgroupBarrier();
    }

    let out_row = first_row + row;
    let column = first_column + local.x;
    store_block(z, out_row, column, upper);
    store_block(z, out_row + 4u, column, lower);
#ifdef WIDE
    store_block(z, out_row, column + COLUMN_GROUPS, upper_right);
    store_block(z, out_row + 4u, column + COLUMN_GROUPS, lower_right);
#endif
}
