// The end of a matrix product: bias, activation, residual, and the output. Where EPILOGUE is false the sums are stored as
// they are; adapters that run shaders on a CPU run through branches that are not taken, loads and all.
//
//   bias      [columns], if there is one
//   residual  [residual_rows][residual_stride]; row m reads row m % residual_rows
//   out       [z][rows][out_stride]
#import activation
#import activation_storage
#import matmul_params

override EPILOGUE: bool = true;

@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<Output>;
@group(0) @binding(5) var<storage, read_write> out: array<Output>;

fn finish(row: u32, column: u32, sum: vec4<f32>) -> vec4<f32> {
    var y = sum;
    if params.has_bias != 0u {
        y += bias[column];
    }
    let residual_index = params.residual_offset + (row % params.residual_rows) * params.residual_stride + column;
    if params.residual_kind == RESIDUAL_BEFORE_ACTIVATION {
        y += from_output(residual[residual_index]);
    }
    y = activate(y, params.slope, params.ceiling);
    if params.residual_kind == RESIDUAL_AFTER_ACTIVATION {
        y += from_output(residual[residual_index]);
    }
    return y;
}

// Finishes and stores one sum of 4 columns; outside the output it does nothing.
fn store(z: u32, row: u32, column: u32, sum: vec4<f32>) {
    if row >= params.rows || column >= params.columns {
        return;
    }
    var y = sum;
    if EPILOGUE {
        y = finish(row, column, sum);
    }
    out[z * params.out_batch + params.out_offset + row * params.out_stride + column] = to_output(y);
}

// Stores 4 rows of 4 columns; column r of `sums` is row `row + r` of the output.
fn store_block(z: u32, row: u32, column: u32, sums: mat4x4<f32>) {
    store(z, row, column, sums[0]);
    store(z, row + 1u, column, sums[1]);
    store(z, row + 2u, column, sums[2]);
    store(z, row + 3u, column, sums[3]);
}
