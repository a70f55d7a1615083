// The end of a matrix product: bias, activation, residual, and the output. Where EPILOGUE is false the sums are
// stored as they are; adapters that run shaders on a CPU run through branches that are not taken, loads and all.
//
//   bias      [columns], if there is one
//   residual  [residual_rows][residual_stride]; row m reads row m % residual_rows
//   out       [z][rows][out_stride]; with OUTPUT_ROWS defined a row texture of [z][rows][columns]
#import activation
#import activation_storage
#import matmul_params
#import row_texture

override EPILOGUE: bool = true;

@group(0) @binding(2) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> residual: array<Output>;

#ifdef OUTPUT_ROWS
@group(0) @binding(4) var out: texture_storage_2d_array<rgba32float, write>;

fn store(z: u32, row: u32, column: u32, value: vec4<f32>) {
    let place = row_place(z, row, params.rows);
    textureStore(out, vec2(column, place.y), place.x, value);
}
#else
@group(0) @binding(4) var<storage, read_write> out: array<Output>;

fn store(z: u32, row: u32, column: u32, value: vec4<f32>) {
    out[z * params.out_batch + params.out_offset + row * params.out_stride + column] = to_output(value);
}
#endif

// 4 rows of 4 columns.
alias Block = mat4x4<f32>;

fn residual_at(row: u32, column: u32) -> vec4<f32> {
    let index = params.residual_offset + (row % params.residual_rows) * params.residual_stride + column;
    return from_output(residual[index]);
}

// A sum with its bias, activated, and what is added to it before or after.
fn finish(shifted: vec4<f32>, added: vec4<f32>) -> vec4<f32> {
    let before = select(vec4(0.0), added, params.residual_kind == RESIDUAL_BEFORE_ACTIVATION);
    let after = select(vec4(0.0), added, params.residual_kind == RESIDUAL_AFTER_ACTIVATION);
    return activate(shifted + before, params.slope, params.ceiling) + after;
}

fn finish_block(rows: vec4<u32>, column: u32, sums: Block) -> Block {
    // Where there is no bias its buffer holds a zero.
    let shift = bias[select(0u, column, params.has_bias != 0u)];
    var added = Block();
    if params.residual_kind != 0u {
        added = Block(
            residual_at(rows.x, column),
            residual_at(rows.y, column),
            residual_at(rows.z, column),
            residual_at(rows.w, column),
        );
    }
    return Block(
        finish(sums[0] + shift, added[0]),
        finish(sums[1] + shift, added[1]),
        finish(sums[2] + shift, added[2]),
        finish(sums[3] + shift, added[3]),
    );
}

// Finishes and stores 4 rows of 4 columns; column r of `sums` is row `row + r` of the output. Rows past the last are
// stored at the last, before what belongs there.
fn store_block(z: u32, row: u32, column: u32, sums: Block) {
    if row >= params.rows || column >= params.columns {
        return;
    }
    let rows = min(row + vec4(0u, 1u, 2u, 3u), vec4(params.rows - 1u));
    var block = sums;
    if EPILOGUE {
        block = finish_block(rows, column, sums);
    }
    store(z, rows.w, column, block[3]);
    store(z, rows.z, column, block[2]);
    store(z, rows.y, column, block[1]);
    store(z, rows.x, column, block[0]);
}
