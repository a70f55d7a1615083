// What the matrix products share: operands, addressing and epilogue. The kernels that import this differ in how they
// tile the work.
//
//   out[z][m][n] = activation(sum_k A[z][m][k] * B[z][k][n] + bias[n] + residual) (+ residual)
//
// Rows of A are pixels and rows of B input channels, so a 1 x 1 convolution is one such product. With CONVOLUTION
// defined, A is never stored: its rows are gathered from an NHWC image (implicit im2col) with k running over
// (tap row, tap column, channel).
//
//   a         activations, one vec4 = 4 channels of a pixel: [z][rows][a_stride]
//   b         weights [z][K][columns]; one element = 4 neighbouring columns, as f32 or packed f16
//   bias      [columns], if there is one
//   residual  [residual_rows][residual_stride]; row m reads row m % residual_rows
//   out       [z][rows][out_stride]
// Strides, offsets and columns count vec4s; depth is K / 4.
#import activation

struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    a_offset: u32,
    a_stride: u32,
    a_batch: u32,
    b_batch: u32,
    out_offset: u32,
    out_stride: u32,
    out_batch: u32,
    has_bias: u32,
    residual_kind: u32,
    residual_offset: u32,
    residual_stride: u32,
    residual_rows: u32,
    slope: f32,
    ceiling: f32,
    // Least value A is read as: 0 applies a relu on the way in, the lowest float leaves A as it is.
    input_floor: f32,
    in_height: u32,
    in_width: u32,
    in_channels: u32,
    out_height: u32,
    out_width: u32,
    kernel: u32,
    stride: u32,
    padding: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> a: array<vec4<f32>>;
#ifdef WEIGHTS_F16
@group(0) @binding(2) var<storage, read> b: array<vec2<u32>>;
#else
@group(0) @binding(2) var<storage, read> b: array<vec4<f32>>;
#endif
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> out: array<vec4<f32>>;

// Channels 4 * k .. 4 * k + 3 of row `row`.
fn load_a(z: u32, row: u32, k: u32) -> vec4<f32> {
#ifdef CONVOLUTION
    let channel = k % params.in_channels;
    let tap = k / params.in_channels;
    let out_x = row % params.out_width;
    let out_y = (row / params.out_width) % params.out_height;
    let image = row / (params.out_width * params.out_height);
    // Positions left of or above the image wrap around to huge numbers and fail the same comparison.
    let y = out_y * params.stride + tap / params.kernel - params.padding;
    let x = out_x * params.stride + tap % params.kernel - params.padding;
    if y >= params.in_height || x >= params.in_width {
        return vec4(0.0);
    }
    let pixel = (image * params.in_height + y) * params.in_width + x;
    return max(a[params.a_offset + pixel * params.a_stride + channel], vec4(params.input_floor));
#else
    return max(a[z * params.a_batch + params.a_offset + row * params.a_stride + k], vec4(params.input_floor));
#endif
}

// Columns 4 * column .. 4 * column + 3 of row `k` of B.
fn load_b(z: u32, k: u32, column: u32) -> vec4<f32> {
    let value = b[z * params.b_batch + k * params.columns + column];
#ifdef WEIGHTS_F16
    return vec4(unpack2x16float(value.x), unpack2x16float(value.y));
#else
    return value;
#endif
}

// Four rows of B as the columns of a matrix: (this) * (4 values of a row of A) is their share of 4 outputs.
fn load_b_block(z: u32, k: u32, column: u32) -> mat4x4<f32> {
    return mat4x4(
        load_b(z, 4u * k, column),
        load_b(z, 4u * k + 1u, column),
        load_b(z, 4u * k + 2u, column),
        load_b(z, 4u * k + 3u, column),
    );
}

// Finishes and stores one sum of 4 columns; outside the output it does nothing.
fn store(z: u32, row: u32, column: u32, sum: vec4<f32>) {
    if row >= params.rows || column >= params.columns {
        return;
    }
    var y = sum;
    if params.has_bias != 0u {
        y += bias[column];
    }
    let residual_index = params.residual_offset + (row % params.residual_rows) * params.residual_stride + column;
    if params.residual_kind == RESIDUAL_BEFORE_ACTIVATION {
        y += residual[residual_index];
    }
    y = activate(y, params.slope, params.ceiling);
    if params.residual_kind == RESIDUAL_AFTER_ACTIVATION {
        y += residual[residual_index];
    }
    out[z * params.out_batch + params.out_offset + row * params.out_stride + column] = y;
}

// Stores 4 rows of 4 columns; column r of `sums` is row `row + r` of the output.
fn store_block(z: u32, row: u32, column: u32, sums: mat4x4<f32>) {
    store(z, row, column, sums[0]);
    store(z, row + 1u, column, sums[1]);
    store(z, row + 2u, column, sums[2]);
    store(z, row + 3u, column, sums[3]);
}
