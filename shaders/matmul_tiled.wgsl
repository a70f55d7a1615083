#ifdef HALVES
enable f16;
#endif
// Matrix product for GPUs: both operands staged through workgroup memory 16 deep, 8 x 4 outputs an invocation as two
// 4 x 4 blocks; with WIDE defined 8 x 8 as four. See shared/matmul.wgsl for the operands.
//
// A workgroup computes TILE_ROWS x 64 outputs (WIDE: x 128). The usual 64 x 64 takes 8 KiB of workgroup memory, so
// that several workgroups share a core on every kind of GPU. The 16 invocations that differ in x read neighbouring
// vec4s of B and the same vec4 of A. While a tile is multiplied, the next one is on its way from memory to registers.
//
// With HALVES defined both operands are multiplied as f16: the 16 products of a tile's depth are added as f16, and
// those sums as f32, so that what is rounded coarsely are short sums alone.
#import matmul
#import matmul_stage

#ifdef ROWS_32
const TILE_ROWS: u32 = 32u;
#else
#ifdef ROWS_128
const TILE_ROWS: u32 = 128u;
#else
const TILE_ROWS: u32 = 64u;
#endif
#endif
#ifdef WIDE
const COLUMN_BLOCKS: u32 = 2u;
#else
const COLUMN_BLOCKS: u32 = 1u;
#endif
const COLUMN_GROUPS: u32 = 16u;
const TILE_COLUMNS: u32 = COLUMN_GROUPS * COLUMN_BLOCKS;
const TILE_DEPTH: u32 = 4u;
const INVOCATIONS: u32 = COLUMN_GROUPS * TILE_ROWS / 8u;

const BLOCK_ROWS: u32 = 4u;
const BLOCKS: u32 = TILE_ROWS / BLOCK_ROWS;

// Blocks of 4 rows of A, so that what an invocation reads has constant places from one address on. Row r of a block
// lies at r ^ k, so that what is written together lies in different banks.
var<workgroup> a_tile: array<array<array<Factors, BLOCK_ROWS>, BLOCKS>, TILE_DEPTH>;
var<workgroup> b_tile: array<array<Factors, TILE_COLUMNS>, 4u * TILE_DEPTH>;

fn store_tile(staged: Staged, index: u32) {
    for (var i = 0u; i < A_LOADS; i++) {
        let place = index + i * INVOCATIONS;
        let row = place / TILE_DEPTH;
        let k = place % TILE_DEPTH;
        a_tile[k][row / BLOCK_ROWS][(row % BLOCK_ROWS) ^ k] = staged.a[i];
    }
    for (var i = 0u; i < B_LOADS; i++) {
        let place = index + i * INVOCATIONS;
        b_tile[place / TILE_COLUMNS][place % TILE_COLUMNS] = staged.b[i];
    }
}

fn a_block(block: u32, k: u32) -> FactorBlock {
    return FactorBlock(
        a_tile[k][block][0u ^ k],
        a_tile[k][block][1u ^ k],
        a_tile[k][block][2u ^ k],
        a_tile[k][block][3u ^ k],
    );
}

fn b_block(k: u32, column: u32) -> FactorBlock {
    return FactorBlock(
        b_tile[4u * k][column],
        b_tile[4u * k + 1u][column],
        b_tile[4u * k + 2u][column],
        b_tile[4u * k + 3u][column],
    );
}

// Sums of products for the outputs of an invocation: 4 rows each of the upper and the lower half of the tile.
struct Chains {
    upper: FactorBlock,
    lower: FactorBlock,
#ifdef WIDE
    upper_right: FactorBlock,
    lower_right: FactorBlock,
#endif
}

#ifdef HALVES
struct Sums {
    upper: mat4x4<f32>,
    lower: mat4x4<f32>,
#ifdef WIDE
    upper_right: mat4x4<f32>,
    lower_right: mat4x4<f32>,
#endif
}

fn widened(block: FactorBlock) -> mat4x4<f32> {
    return mat4x4(vec4<f32>(block[0]), vec4<f32>(block[1]), vec4<f32>(block[2]), vec4<f32>(block[3]));
}

// The sums with the products of the whole tile.
fn add_tile(sums: Sums, upper_block: u32, lower_block: u32, column: u32) -> Sums {
    let chains = add_all(Chains(), upper_block, lower_block, column);
    var added = sums;
    added.upper += widened(chains.upper);
    added.lower += widened(chains.lower);
#ifdef WIDE
    added.upper_right += widened(chains.upper_right);
    added.lower_right += widened(chains.lower_right);
#endif
    return added;
}
#else
alias Sums = Chains;

fn add_tile(sums: Sums, upper_block: u32, lower_block: u32, column: u32) -> Sums {
    return add_all(sums, upper_block, lower_block, column);
}
#endif

// Written out: not every driver unrolls a loop.
fn add_all(chains: Chains, upper_block: u32, lower_block: u32, column: u32) -> Chains {
    var added = add_products(chains, upper_block, lower_block, column, 0u);
    added = add_products(added, upper_block, lower_block, column, 1u);
    added = add_products(added, upper_block, lower_block, column, 2u);
    return add_products(added, upper_block, lower_block, column, 3u);
}

// The chains with the products of 4 values of k of the tile.
fn add_products(chains: Chains, upper_block: u32, lower_block: u32, column: u32, k: u32) -> Chains {
    let upper_a = a_block(upper_block, k);
    let lower_a = a_block(lower_block, k);
    let b = b_block(k, column);
    var added = chains;
    added.upper = add_product(chains.upper, b, upper_a);
    added.lower = add_product(chains.lower, b, lower_a);
#ifdef WIDE
    let b_right = b_block(k, column + COLUMN_GROUPS);
    added.upper_right = add_product(chains.upper_right, b_right, upper_a);
    added.lower_right = add_product(chains.lower_right, b_right, lower_a);
#endif
    return added;
}

@compute @workgroup_size(COLUMN_GROUPS, TILE_ROWS / 8u)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
) {
    let part = part_of(workgroup.z);
    let first_row = workgroup.y * TILE_ROWS;
    let first_column = workgroup.x * TILE_COLUMNS;
    let places = sources(part.z, first_row, first_column, index);
    let upper = local.y;
    let lower = local.y + BLOCKS / 2u;
    var sums = Sums();

    // The first tile is stored before the loop: a compiler that moves nothing out of loops still does not compute again
    // what it has computed before one, here the places of a tile.
    store_tile(load_tile(places, part.first_k, index), index);
    workgroupBarrier();
    for (var k = part.first_k; k < part.end_k; k += TILE_DEPTH) {
        // The last turn loads a tile that nobody multiplies, of the last k.
        let next = load_tile(places, k + TILE_DEPTH, index);
        sums = add_tile(sums, upper, lower, local.x);
        workgroupBarrier();
        store_tile(next, index);
        workgroupBarrier();
    }

    let column = first_column + local.x;
    let upper_row = first_row + BLOCK_ROWS * upper;
    let lower_row = first_row + BLOCK_ROWS * lower;
    store_block(workgroup.z, upper_row, column, sums.upper);
    store_block(workgroup.z, lower_row, column, sums.lower);
#ifdef WIDE
    store_block(workgroup.z, upper_row, column + COLUMN_GROUPS, sums.upper_right);
    store_block(workgroup.z, lower_row, column + COLUMN_GROUPS, sums.lower_right);
#endif
}
