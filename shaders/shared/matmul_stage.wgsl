// The way of a product's operands from memory to the tiles in workgroup memory. The kernels that import this define
//   const TILE_ROWS: u32       rows of A's tile
//   const TILE_DEPTH: u32      vec4s of A in a row of its tile, a quarter of the rows of B's
//   const TILE_COLUMNS: u32    vec4s of B in a row of its tile
//   const INVOCATIONS: u32     of a workgroup
#import matmul

// What an invocation stages: vec4s of A, each in a row of its own, and of B.
const A_LOADS: u32 = TILE_ROWS * TILE_DEPTH / INVOCATIONS;
const B_LOADS: u32 = 4u * TILE_DEPTH * TILE_COLUMNS / INVOCATIONS;

// What an invocation carries from memory to workgroup memory.
struct Staged {
    a: array<Factors, A_LOADS>,
    b: array<Factors, B_LOADS>,
}

// Where it reads: its rows of A, and for each of its vec4s of B the place in the first and in the last row of all.
struct Sources {
    rows: array<Row, A_LOADS>,
    b_first: array<u32, B_LOADS>,
    b_last: array<u32, B_LOADS>,
}

fn sources(z: u32, first_row: u32, first_column: u32, index: u32) -> Sources {
    var found: Sources;
    // Past the last row or column anything will do, it is never stored.
    for (var i = 0u; i < A_LOADS; i++) {
        let row = first_row + (index + i * INVOCATIONS) / TILE_DEPTH;
        found.rows[i] = row_of_a(z, min(row, params.rows - 1u));
    }
    for (var i = 0u; i < B_LOADS; i++) {
        let place = index + i * INVOCATIONS;
        let column = min(first_column + place % TILE_COLUMNS, params.columns - 1u);
        let matrix = z * params.b_batch + column;
        found.b_first[i] = matrix + place / TILE_COLUMNS * params.columns;
        found.b_last[i] = matrix + (4u * params.depth - 1u) * params.columns;
    }
    return found;
}

fn load_tile(places: Sources, k: u32, index: u32) -> Staged {
    var staged: Staged;
    // Past the last k, A is zero, and B anything finite.
    let a_k = k + index % TILE_DEPTH;
    let a_k_inside = min(a_k, params.depth - 1u);
    for (var i = 0u; i < A_LOADS; i++) {
        staged.a[i] = select(Factors(), load_a(places.rows[i], a_k_inside), a_k < params.depth);
    }
    let b_rows = 4u * k * params.columns;
    for (var i = 0u; i < B_LOADS; i++) {
        staged.b[i] = load_b(min(places.b_first[i] + b_rows, places.b_last[i]));
    }
    return staged;
}
