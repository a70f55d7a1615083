//! Matrix products, `shaders/matmul_*.wgsl`.

use super::activation::{Epilogue, Residual};
use crate::gpu::{Binding, Graph, Kernel, MatmulKernel, Slice};

/// Constant matrices on the GPU, `[batch][depth][columns]`, f32 or packed f16.
pub(crate) struct Matrix {
    pub buffer: wgpu::Buffer,
    pub batch: u32,
    pub depth: u32,
    pub columns: u32,
    pub f16: bool,
}

/// `out = epilogue(max(a, input_floor) * matrix)`. With a batch of matrices, `a` and `out` are as many equal runs of
/// rows, one for each.
pub(crate) struct Product<'a> {
    pub a: Slice,
    /// 0 applies a relu to `a` on the way in, [`f32::MIN`] leaves it as it is.
    pub input_floor: f32,
    pub matrix: &'a Matrix,
    pub epilogue: Epilogue<'a>,
    pub out: Slice,
}

/// Where the rows of `a` come from when they are gathered from an image: see `shared/matmul.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Default, bytemuck::NoUninit)]
pub(super) struct Gather {
    pub in_height: u32,
    pub in_width: u32,
    /// In vec4s.
    pub in_channels: u32,
    pub out_height: u32,
    pub out_width: u32,
    pub kernel: u32,
    pub stride: u32,
    pub padding: u32,
}

/// The uniform block of `shared/matmul.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, bytemuck::NoUninit)]
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
    input_floor: f32,
    gather: Gather,
}

/// Appends a product whose `a` is stored as it is multiplied.
pub(crate) fn matmul(graph: &mut Graph<'_>, label: &str, product: &Product<'_>) {
    debug_assert_eq!(product.a.channels, product.matrix.depth, "{label}");
    debug_assert_eq!(product.a.rows, product.out.rows, "{label}");
    dispatch(graph, label, product, None);
}

/// Appends a product whose `a` is gathered from an image: a convolution.
pub(super) fn matmul_gathered(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, gather: Gather) {
    debug_assert_eq!(4 * gather.in_channels * gather.kernel * gather.kernel, product.matrix.depth, "{label}");
    dispatch(graph, label, product, Some(gather));
}

fn dispatch(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, gather: Option<Gather>) {
    let Product { a, matrix, epilogue, out, .. } = product;
    debug_assert_eq!(out.channels, matrix.columns, "{label}");
    let params = params(product, gather.unwrap_or_default());
    let (kernel, tile_rows, tile_columns) = variant(graph.gpu().matmul, matrix.f16, gather.is_some());
    let bindings = [
        Binding::Read(a.tensor),
        Binding::Constant(&matrix.buffer),
        Binding::Constant(epilogue.bias.unwrap_or(&matrix.buffer)),
        epilogue.residual.binding(&matrix.buffer),
        Binding::Write(out.tensor),
    ];
    let workgroups = [matrix.columns.div_ceil(tile_columns), params.rows.div_ceil(tile_rows), matrix.batch];
    graph.dispatch(label, kernel, &params, &bindings, workgroups);
    graph.estimate(u64::from(out.rows) * u64::from(matrix.depth) * u64::from(matrix.columns));
}

fn params(product: &Product<'_>, gather: Gather) -> Params {
    let Product { a, input_floor, matrix, epilogue, out } = product;
    let columns = matrix.columns / 4;
    let (residual_offset, residual_stride, residual_rows) = match epilogue.residual {
        Residual::None => (0, 0, 1),
        Residual::Before(slice) | Residual::After(slice) => (slice.first / 4, slice.stride() / 4, slice.rows),
        Residual::Constant { rows, .. } => (0, columns, rows),
    };
    Params {
        rows: out.rows / matrix.batch,
        columns,
        depth: matrix.depth / 4,
        a_offset: a.first / 4,
        a_stride: a.stride() / 4,
        a_batch: a.rows / matrix.batch * a.stride() / 4,
        b_batch: matrix.depth * columns,
        out_offset: out.first / 4,
        out_stride: out.stride() / 4,
        out_batch: out.rows / matrix.batch * out.stride() / 4,
        has_bias: epilogue.bias.is_some().into(),
        residual_kind: epilogue.residual.kind(),
        residual_offset,
        residual_stride,
        residual_rows,
        slope: epilogue.activation.slope,
        ceiling: epilogue.activation.ceiling,
        input_floor: *input_floor,
        gather,
    }
}

/// The kernel for a device, with the rows and columns of the output one of its workgroups computes.
fn variant(shape: MatmulKernel, f16: bool, gathered: bool) -> (Kernel, u32, u32) {
    let (shader, subgroups, rows, columns) = match shape {
        MatmulKernel::Tiled => ("matmul_tiled", false, 64, 64),
        MatmulKernel::Register => ("matmul_register", false, 32, 64),
        MatmulKernel::RegisterSubgroup8 => ("matmul_register", true, 32, 64),
    };
    let names = [("WEIGHTS_F16", f16), ("CONVOLUTION", gathered), ("SUBGROUP_8", subgroups)];
    let defines = names.into_iter().filter(|(_, defined)| *defined).map(|(name, _)| name).collect();
    (Kernel { shader, defines, constants: Vec::new() }, rows, columns)
}
