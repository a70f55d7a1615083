// Square matrices of SIDE x SIDE values that the invocations of a subgroup hold together, multiplied by the device's
// matrix units (SPV_KHR_cooperative_matrix): factors of f16, sums of f32. SIDE is 16, or 8 with SIDE_8 defined.
//
// Without MATRIX_UNITS defined the same is plain WGSL, which runs on any device with f16: a subgroup is then 32
// invocations, each with a 32nd of the sums, and factors are read when they are multiplied. It serves to test the
// kernels that import this. They define
//   var<workgroup> a_tile, b_tile: array<Factors, _>, with A_STRIDE and B_STRIDE vec4s a row
//   var<workgroup> sums_tile: array<vec4<f32>, _>, with SIDE / 4 vec4s a row
#ifdef SIDE_8
const SIDE: u32 = 8u;
#else
const SIDE: u32 = 16u;
#endif

#ifdef MATRIX_UNITS
#ifdef SIDE_8
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Sums = coop_mat8x8<f32, C>;
#else
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;
#endif

// The matrix whose first row begins at a vec4 of a_tile.
fn left(first: u32) -> Left {
    return coopLoadT<Left>(&a_tile[first], A_STRIDE);
}

// The matrix whose first row begins at a vec4 of b_tile.
fn right(first: u32) -> Right {
    return coopLoadT<Right>(&b_tile[first], B_STRIDE);
}

fn multiply_add(a: Left, b: Right, sums: Sums) -> Sums {
    return coopMultiplyAdd(a, b, sums);
}

// Stores sums into sums_tile from a vec4 on.
fn put(sums: Sums, first: u32) {
    coopStoreT(sums, &sums_tile[first], SIDE / 4u);
}
#else
const LANES: u32 = 32u;
const VALUES: u32 = SIDE * SIDE / LANES;

alias Left = u32;
alias Right = u32;
alias Sums = array<f32, VALUES>;

var<private> lane_of_32: u32;

fn left(first: u32) -> Left {
    return first;
}

fn right(first: u32) -> Right {
    return first;
}

fn multiply_add(a: Left, b: Right, sums: Sums) -> Sums {
    var added = sums;
    for (var i = 0u; i < VALUES; i++) {
        let place = lane_of_32 * VALUES + i;
        let row = place / SIDE;
        let column = place % SIDE;
        for (var k = 0u; k < SIDE; k++) {
            let from_a = a_tile[a + row * A_STRIDE + k / 4u][k % 4u];
            let from_b = b_tile[b + k * B_STRIDE + column / 4u][column % 4u];
            added[i] += f32(from_a) * f32(from_b);
        }
    }
    return added;
}

fn put(sums: Sums, first: u32) {
    for (var i = 0u; i < VALUES; i++) {
        let place = lane_of_32 * VALUES + i;
        sums_tile[first + place / 4u][place % 4u] = sums[i];
    }
}
#endif
