enable f16;
#ifdef MATRIX_UNITS
enable wgpu_cooperative_matrix;
#endif
// Matrix product on matrix units, with factors of f16 and sums of f32. See shared/matmul.wgsl for the operands, and
// shared/matrix_units.wgsl for the square matrices of SIDE x SIDE values that a subgroup multiplies.
//
// Both operands are staged through workgroup memory 32 deep, as in matmul_tiled. A tile of the output is made of
// pieces, two across and two down, with ROWS_128 defined four; a piece is 2 x 2 matrices, with WIDE defined 2 x 4. Each
// subgroup computes a piece. Where subgroups are so wide that there are fewer of them than pieces, they take turns;
// those that there are more of compute a piece that nobody stores.
#import matmul
#import matmul_stage
#import matrix_units

#ifdef ROWS_128
const PIECES_DOWN: u32 = 4u;
#else
const PIECES_DOWN: u32 = 2u;
#endif
const PIECES_ACROSS: u32 = 2u;
const PIECES: u32 = PIECES_DOWN * PIECES_ACROSS;
const PIECE_ROWS: u32 = 2u * SIDE;
// Columns of pieces and tiles count vec4s.
#ifdef WIDE
const PIECE_COLUMNS: u32 = SIDE;
#else
const PIECE_COLUMNS: u32 = SIDE / 2u;
#endif
const TILE_ROWS: u32 = PIECES_DOWN * PIECE_ROWS;
const TILE_COLUMNS: u32 = PIECES_ACROSS * PIECE_COLUMNS;
const TILE_DEPTH: u32 = 8u;
const INVOCATIONS: u32 = 32u * PIECES;

// Rows are 16 bytes longer than what they hold, so that eight of them lie in different banks.
const A_STRIDE: u32 = TILE_DEPTH + 2u;
const B_STRIDE: u32 = TILE_COLUMNS + 2u;
// vec4s from one of a piece's matrices to the next.
const SIDE_COLUMNS: u32 = SIDE / 4u;
const MATRIX: u32 = SIDE * SIDE_COLUMNS;

var<workgroup> a_tile: array<Factors, TILE_ROWS * A_STRIDE>;
var<workgroup> b_tile: array<Factors, 4u * TILE_DEPTH * B_STRIDE>;
// One matrix a piece, on the way to the output.
var<workgroup> sums_tile: array<vec4<f32>, PIECES * MATRIX>;

fn store_tile(staged: Staged, index: u32) {
    for (var i = 0u; i < A_LOADS; i++) {
        let place = index + i * INVOCATIONS;
        a_tile[place / TILE_DEPTH * A_STRIDE + place % TILE_DEPTH] = staged.a[i];
    }
    for (var i = 0u; i < B_LOADS; i++) {
        let place = index + i * INVOCATIONS;
        b_tile[place / TILE_COLUMNS * B_STRIDE + place % TILE_COLUMNS] = staged.b[i];
    }
}

// Row and column where a piece begins in the tile.
fn place_of(piece: u32) -> vec2<u32> {
    return vec2(piece / PIECES_ACROSS * PIECE_ROWS, piece % PIECES_ACROSS * PIECE_COLUMNS);
}

// Where an invocation stands: its tile of the output and its place among the workgroup's.
struct Place {
    z: u32,
    row: u32,
    column: u32,
    index: u32,
    first_piece: u32,
    subgroup: u32,
    subgroups: u32,
}

// Stores the matrix at the same place of every piece of this turn, by way of workgroup memory.
fn store_matrices(place: Place, sums: Sums, row: u32, column: u32) {
    if place.subgroup < PIECES {
        put(sums, place.subgroup * MATRIX);
    }
    workgroupBarrier();
    // In blocks of 4 rows of 4 values.
    let pieces = min(place.subgroups, PIECES - place.first_piece);
    for (var i = place.index; i < pieces * MATRIX / 4u; i += INVOCATIONS) {
        let piece = i / (MATRIX / 4u);
        let block_row = i % (MATRIX / 4u) / SIDE_COLUMNS * 4u;
        let block_column = i % SIDE_COLUMNS;
        let first = piece * MATRIX + block_row * SIDE_COLUMNS + block_column;
        let block = Block(
            sums_tile[first],
            sums_tile[first + SIDE_COLUMNS],
            sums_tile[first + 2u * SIDE_COLUMNS],
            sums_tile[first + 3u * SIDE_COLUMNS],
        );
        let start = vec2(place.row + row + block_row, place.column + column + block_column);
        let at = start + place_of(place.first_piece + piece);
        store_block(place.z, at.x, at.y, block);
    }
    workgroupBarrier();
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) index: u32,
#ifdef MATRIX_UNITS
    @builtin(subgroup_id) subgroup: u32,
    @builtin(num_subgroups) subgroups: u32,
#endif
) {
#ifdef MATRIX_UNITS
#else
    let subgroup = index / LANES;
    let subgroups = PIECES;
    lane_of_32 = index % LANES;
#endif
    let part = part_of(workgroup.z);
    let first_row = workgroup.y * TILE_ROWS;
    let first_column = workgroup.x * TILE_COLUMNS;
    let places = sources(part.z, first_row, first_column, index);
    for (var first_piece = 0u; first_piece < PIECES; first_piece += subgroups) {
        let corner = place_of((first_piece + subgroup) % PIECES);
        let a_first = corner.x * A_STRIDE;
        let b_first = corner.y;
        var sums_0_0 = Sums();
        var sums_0_1 = Sums();
        var sums_1_0 = Sums();
        var sums_1_1 = Sums();
#ifdef WIDE
        var sums_0_2 = Sums();
        var sums_0_3 = Sums();
        var sums_1_2 = Sums();
        var sums_1_3 = Sums();
#endif

        // Before the loop, so that the places of a tile are computed once.
        store_tile(load_tile(places, part.first_k, index), index);
        workgroupBarrier();
        for (var k = part.first_k; k < part.end_k; k += TILE_DEPTH) {
            // The last turn loads a tile that nobody multiplies, of the last k.
            let next = load_tile(places, k + TILE_DEPTH, index);
            for (var step = 0u; step < 4u * TILE_DEPTH; step += SIDE) {
                let a = a_first + step / 4u;
                let b = b_first + step * B_STRIDE;
                let upper = left(a);
                let lower = left(a + SIDE * A_STRIDE);
                let right_0 = right(b);
                sums_0_0 = multiply_add(upper, right_0, sums_0_0);
                sums_1_0 = multiply_add(lower, right_0, sums_1_0);
                let right_1 = right(b + SIDE_COLUMNS);
                sums_0_1 = multiply_add(upper, right_1, sums_0_1);
                sums_1_1 = multiply_add(lower, right_1, sums_1_1);
#ifdef WIDE
                let right_2 = right(b + 2u * SIDE_COLUMNS);
                sums_0_2 = multiply_add(upper, right_2, sums_0_2);
                sums_1_2 = multiply_add(lower, right_2, sums_1_2);
                let right_3 = right(b + 3u * SIDE_COLUMNS);
                sums_0_3 = multiply_add(upper, right_3, sums_0_3);
                sums_1_3 = multiply_add(lower, right_3, sums_1_3);
#endif
            }
            workgroupBarrier();
            store_tile(next, index);
            workgroupBarrier();
        }

        let place = Place(workgroup.z, first_row, first_column, index, first_piece, subgroup, subgroups);
        store_matrices(place, sums_0_0, 0u, 0u);
        store_matrices(place, sums_0_1, 0u, SIDE_COLUMNS);
        store_matrices(place, sums_1_0, SIDE, 0u);
        store_matrices(place, sums_1_1, SIDE, SIDE_COLUMNS);
#ifdef WIDE
        store_matrices(place, sums_0_2, 0u, 2u * SIDE_COLUMNS);
        store_matrices(place, sums_0_3, 0u, 3u * SIDE_COLUMNS);
        store_matrices(place, sums_1_2, SIDE, 2u * SIDE_COLUMNS);
        store_matrices(place, sums_1_3, SIDE, 3u * SIDE_COLUMNS);
#endif
    }
}
