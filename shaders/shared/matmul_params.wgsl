// The operands of a matrix product, for every kernel that has part in it.
//
//   out[z][m][n] = activation(sum_k A[z][m][k] * B[z][k][n] + bias[n] + residual) (+ residual)
//
// Rows of A are pixels and rows of B input channels, so a 1 x 1 convolution is one such product. Strides, offsets and
// columns count vec4s; depth is K / 4.
//
// Where few tiles would leave most of a GPU idle, the depth is split: each of `splits` workgroups along z adds up a
// part of it, of `split_depth`, and writes sums of its own; sum_splits adds them.
struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    splits: u32,
    split_depth: u32,
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
    // Of images that rows of A are gathered from: vec4s of a line of the image and under a line of the kernel, and
    // 2^28 over the latter, rounded up: a division takes a GPU as long as twenty multiplications. Steps of the kernel
    // and padding are in lines down and in vec4s across.
    in_height: u32,
    in_line: u32,
    kernel_line: u32,
    kernel_line_reciprocal: u32,
    out_height: u32,
    out_width: u32,
    stride_down: u32,
    stride_across: u32,
    padding_down: u32,
    padding_across: u32,
}

@group(0) @binding(0) var<uniform> params: Params;

// What a workgroup multiplies: matrix z, from one k to before another.
struct Part {
    z: u32,
    first_k: u32,
    end_k: u32,
}

fn part_of(workgroup_z: u32) -> Part {
    let first_k = workgroup_z % params.splits * params.split_depth;
    return Part(workgroup_z / params.splits, first_k, min(first_k + params.split_depth, params.depth));
}
