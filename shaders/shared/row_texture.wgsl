// Rows of a matrix product's left operand as a texture, for adapters where a texel is cheaper to load than 4 floats of
// a buffer. A texel is a vec4; rows run down, matrix after matrix, and as a texture is only so tall, on into further
// layers.
const ROWS_PER_LAYER: u32 = 4096u;
// A matrix begins at a multiple of the kernels' tile, so that none of their tiles lies in two layers.
const ROWS_TOGETHER: u32 = 32u;

// Layer and row within it of row `row` of matrix `z`, each of `rows` rows.
fn row_place(z: u32, row: u32, rows: u32) -> vec2<u32> {
    let padded_rows = (rows + ROWS_TOGETHER - 1u) / ROWS_TOGETHER * ROWS_TOGETHER;
    return place_of_row(z * padded_rows + row);
}

// Layer and row within it of a row of the only matrix. Each kernel loads the texel itself: naga translates no textures
// as arguments of functions to Metal.
fn place_of_row(row: u32) -> vec2<u32> {
    return vec2(row / ROWS_PER_LAYER, row % ROWS_PER_LAYER);
}
