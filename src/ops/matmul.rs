//! Matrix products, `shaders/matmul_*.wgsl`.

use super::activation::{Epilogue, Input, Residual};
use crate::gpu::{Arithmetic, Binding, Constant, Format, Graph, Kernel, Layer, Slice, Tensor, Tiling, uniforms};

/// The right operands of products, matrices `[batch][depth][columns]` of f32 or packed f16.
pub(crate) struct Matrix {
    values: Values,
    pub batch: u32,
    pub depth: u32,
    pub columns: u32,
    pub format: Format,
}

/// Where the values of matrices are.
enum Values {
    Constant(Constant),
    /// Made by an earlier dispatch, [`Graph::matrices`].
    Tensor(Tensor),
}

impl Matrix {
    /// Matrices that were loaded.
    pub(crate) fn of(constant: Constant) -> Self {
        let ([batch, depth, columns], format) = (constant.shape(), constant.format());
        Self { values: Values::Constant(constant), batch, depth, columns, format }
    }

    /// Matrices that an earlier dispatch makes.
    pub(super) fn made(tensor: Tensor) -> Self {
        let Tensor { batch, height, channels, format, .. } = tensor;
        Self { values: Values::Tensor(tensor), batch, depth: height, columns: channels, format }
    }

    /// The matrices of a convolution's `taps`, which an earlier dispatch makes: `[1][taps * inputs][1][outputs]`.
    pub(super) fn of_taps(weights: Tensor, taps: u32) -> Self {
        Self { batch: taps, depth: weights.height / taps, ..Self::made(weights) }
    }

    pub(super) fn binding(&self) -> Binding {
        match &self.values {
            Values::Constant(constant) => Binding::read(constant),
            Values::Tensor(tensor) => Binding::read(*tensor),
        }
    }
}

/// The rows of `x` with the given numbers (u32 as bits, `[columns]`) side by side: a right operand
/// `[channels][columns]` to compare other rows with, `shaders/rows_as_columns.wgsl`.
pub(crate) fn rows_as_columns(graph: &mut Graph<'_>, label: &str, x: Tensor, numbers: Tensor) -> Matrix {
    uniforms! {
        struct Params {
            channels: u32,
            columns: u32,
        }
    }
    let (depth, columns) = (x.channels, numbers.values() as u32);
    let out = graph.matrices(label, [1, depth, columns]);
    let params = Params { channels: depth, columns: columns / 4 };
    let kernel = Kernel::with("rows_as_columns", [("TEXTURE", graph.is_texture(out))]);
    let bindings = [Binding::read(x), Binding::read(numbers), Binding::write(out)];
    graph.dispatch(label, kernel, &params, bindings, [params.columns.div_ceil(16), depth.div_ceil(4), 1]);
    Matrix::made(out)
}

/// `matrices` equal runs of the rows of `x` as right operands: as they are or, where products multiply textures, as
/// one, `shaders/weights_as_matrix.wgsl`.
pub(super) fn rows_as_matrices(graph: &mut Graph<'_>, label: &str, x: Tensor, matrices: u32) -> Matrix {
    let rows = x.pixels() / matrices;
    if !graph.gpu().matmul.reads_textures() {
        return Matrix { batch: matrices, depth: rows, ..Matrix::made(x) };
    }
    let out = graph.matrices(label, [matrices, rows, x.channels]);
    as_matrices(graph, label, x, AsMatrices { taps: 1, transposed: false }, out);
    Matrix::made(out)
}

/// How a buffer's rows become matrices.
pub(super) struct AsMatrices {
    /// A convolution's, of which each matrix has the rows of all.
    pub taps: u32,
    /// Whether inputs and outputs change places and the kernel is turned around.
    pub transposed: bool,
}

/// Writes what is in `x` into `out`, [`Graph::matrices`] or a tensor of that shape.
pub(super) fn as_matrices(graph: &mut Graph<'_>, label: &str, x: Tensor, how: AsMatrices, out: Tensor) {
    uniforms! {
        struct Params {
            taps: u32,
            rows: u32,
            columns: u32,
        }
    }
    let AsMatrices { taps, transposed } = how;
    let params = Params { taps, rows: out.height / taps, columns: out.channels / 4 };
    let names = [("TRANSPOSED", transposed), ("TEXTURE", graph.is_texture(out))];
    let workgroups = [params.columns.div_ceil(16), out.height.div_ceil(4), out.batch];
    let bindings = [Binding::read(x), Binding::write(out)];
    graph.dispatch(label, Kernel::with("weights_as_matrix", names), &params, bindings, workgroups);
}

/// `matrices` equal runs of the rows of `x`, a multiple of 4 each, as left operands whose rows are the channels:
/// `torch.transpose(x, 1, 2)`, `shaders/transpose.wgsl`.
pub(super) fn transpose(graph: &mut Graph<'_>, label: &str, x: Tensor, matrices: u32) -> Tensor {
    uniforms! {
        struct Params {
            rows: u32,
            channels: u32,
        }
    }
    let rows = x.pixels() / matrices;
    graph.ensure_equal(label, rows % 4, 0);
    let out = graph.rows(Format::F32, label, [matrices, x.channels, rows]);
    let params = Params { rows, channels: x.channels / 4 };
    let kernel = Kernel::with("transpose", [("TEXTURE", graph.is_texture(out))]);
    let workgroups = [params.channels.div_ceil(8), (rows / 4).div_ceil(8), matrices];
    graph.dispatch(label, kernel, &params, [Binding::read(x), Binding::write(out)], workgroups);
    out
}

/// `out = epilogue(max(a, floor) * matrix + bias)`. With a batch of matrices, `a` and `out` are as many equal runs of
/// rows, one for each.
pub(crate) struct Product<'a> {
    pub a: Slice,
    /// 0 applies a relu to `a` on the way in, [`Input::NO_FLOOR`] leaves it as it is.
    pub floor: f32,
    pub matrix: &'a Matrix,
    /// One value for each column.
    pub bias: Option<&'a Constant>,
    pub epilogue: Epilogue<'a>,
    pub out: Slice,
}

impl<'a> Product<'a> {
    /// `out = a * matrix`.
    pub(crate) fn new(a: Slice, matrix: &'a Matrix, out: Slice) -> Self {
        Self { a, floor: Input::NO_FLOOR, matrix, bias: None, epilogue: Epilogue::NONE, out }
    }

    /// Whether anything is done to the sums.
    fn has_epilogue(&self) -> bool {
        self.bias.is_some() || !self.epilogue.is_none()
    }

    /// What the sums are finished with, and where they go: the operands of `shared/matmul_store.wgsl`.
    fn output(&self) -> [Binding; 3] {
        let bias = self.bias.map_or(Binding::UNUSED, Binding::read);
        [bias, self.epilogue.residual.binding(), Binding::write(self.out.tensor)]
    }

    fn applies_relu(&self) -> bool {
        debug_assert!(self.floor == 0.0 || self.floor == Input::NO_FLOOR);
        self.floor == 0.0
    }
}

/// Where the rows of `a` come from when they are gathered from an image: see `shared/matmul_rows.wgsl`.
#[derive(Clone, Copy, Default)]
pub(super) struct Gather {
    pub in_height: u32,
    pub in_width: u32,
    /// The vec4s of a pixel of the input.
    pub in_channels: u32,
    pub out_height: u32,
    pub out_width: u32,
    pub kernel: u32,
    pub stride: u32,
    pub padding: u32,
}

uniforms! {
    /// The uniform block of `shared/matmul_params.wgsl`.
    #[derive(Default)]
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
}

/// 2^28 over a number, rounded up: `n * reciprocal(number) >> 28` is `n / number` while that is below 15 and
/// `n * number` below 2^28.
fn reciprocal(number: u32) -> u32 {
    (1_u32 << 28).div_ceil(number.max(1))
}

/// Appends a product whose `a` is stored as it is multiplied.
pub(crate) fn matmul(graph: &mut Graph<'_>, label: &str, product: &Product<'_>) {
    let Matrix { depth, columns, format, .. } = *product.matrix;
    let factors = graph.factors(product.a.tensor.format, format);
    let layer = Layer { factors, ..Layer::product([product.out.rows, depth, columns], format.is_f16()) };
    let tiling = graph.tiling(&layer, None);
    matmul_tiled(graph, label, product, tiling);
}

/// [`matmul`] in tiles of the caller's choice.
pub(super) fn matmul_tiled(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, tiling: Tiling) {
    graph.ensure_equal(label, [product.a.rows, product.a.channels], [product.out.rows, product.matrix.depth]);
    dispatch(graph, label, product, None, tiling);
}

/// Appends a product whose `a` is gathered from an image: a convolution.
pub(super) fn matmul_gathered(
    graph: &mut Graph<'_>,
    label: &str,
    product: &Product<'_>,
    gather: Gather,
    tiling: Tiling,
) {
    graph.ensure_equal(label, 4 * gather.in_channels * gather.kernel.pow(2), product.matrix.depth);
    graph.ensure_equal(label, product.a.stride(), 4 * gather.in_channels);
    // Up to 12612 channels under 3 x 3 taps.
    let divides = gather.kernel < 16
        && u64::from(gather.kernel * gather.in_channels) * u64::from(product.matrix.depth / 4) < 1 << 28;
    graph.ensure_equal(&format!("{label}, few enough channels to tell taps apart"), divides, true);
    dispatch(graph, label, product, Some(gather), tiling);
}

fn dispatch(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, gather: Option<Gather>, tiling: Tiling) {
    let Product { a, floor, matrix, out, .. } = *product;
    graph.ensure_equal(label, out.channels, matrix.columns);
    product.epilogue.residual.ensure_suits(graph, label, out);
    graph.ensure_inside(label, a);
    graph.ensure_inside(label, out);
    if tiling.splits == 1 {
        dispatch_whole(graph, label, product, gather, tiling);
    } else {
        let rows = out.rows / matrix.batch;
        let parts = graph.scratch(&format!("{label}.parts"), [matrix.batch * tiling.splits, rows, 1, out.channels]);
        let in_parts = Product { floor, ..Product::new(a, matrix, parts.all()) };
        dispatch_whole(graph, label, &in_parts, gather, tiling);
        sum_splits(graph, label, product, parts, tiling.splits);
    }
}

/// The product itself, of which `out` has the sums of each part of the depth where `tiling` splits it.
fn dispatch_whole(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, gather: Option<Gather>, tiling: Tiling) {
    let Product { a, matrix, out, .. } = product;
    let params = Params {
        splits: tiling.splits,
        split_depth: tiling.split_depth(matrix.depth / 4),
        ..params(product, gather.unwrap_or_default(), tiling.splits)
    };
    let textures = graph.gpu().matmul.reads_textures();
    let rows = if textures && !graph.is_texture(a.tensor) {
        let (gathered, applies_relu) = (gather.is_some(), product.applies_relu());
        let left = Left { tensor: a.tensor, matrices: matrix.batch, gathered, applies_relu };
        pack_rows(graph, label, &params, left)
    } else {
        a.tensor
    };
    if tiling.arithmetic != Arithmetic::F32 {
        graph.ensure_equal(label, [rows.format, matrix.format], [Format::F16; 2]);
    }
    let names = [
        ("WEIGHTS_F16", matrix.format.is_f16()),
        ("CONVOLUTION", gather.is_some() && !textures),
        ("INPUT_F16", rows.is_f16()),
        ("OUTPUT_F16", out.tensor.is_f16()),
        ("OUTPUT_ROWS", graph.is_texture(out.tensor)),
    ];
    let finishes = product.has_epilogue() || textures && is_soon_finished(product.out);
    let mut kernel = tiling.kernel(names).with_constant("EPILOGUE", finishes);
    if !textures {
        kernel = kernel.with_constant("INPUT_RELU", product.applies_relu());
    }
    let [bias, residual, sums] = product.output();
    let bindings = [Binding::read(rows), bias, residual, sums, matrix.binding()];
    let workgroups = tiling.workgroups([matrix.batch, params.rows, matrix.columns]);
    graph.dispatch(label, kernel, &params, bindings, workgroups);
    graph
        .estimate(u64::from(out.rows) * u64::from(matrix.depth) * u64::from(matrix.columns) / u64::from(tiling.splits));
}

/// Whether an epilogue that leaves the sums as they are costs adapters that run shaders on a CPU less than to compile
/// the product without any, half a second and more.
fn is_soon_finished(out: Slice) -> bool {
    const FEW: u32 = 1 << 21;
    out.rows * out.channels < FEW
}

/// Adds the parts of a product's sums, `[matrices * splits][rows][columns]`, and finishes them.
fn sum_splits(graph: &mut Graph<'_>, label: &str, product: &Product<'_>, parts: Tensor, splits: u32) {
    let params = Params { splits, ..params(product, Gather::default(), 1) };
    let names = [("OUTPUT_F16", product.out.tensor.is_f16())];
    let kernel = Kernel::with("sum_splits", names).with_constant("EPILOGUE", product.has_epilogue());
    let [bias, residual, out] = product.output();
    let bindings = [Binding::read(parts), bias, residual, out];
    let workgroups = [params.columns.div_ceil(16), params.rows.div_ceil(16), product.matrix.batch];
    graph.dispatch(&format!("{label}.sum"), kernel, &params, bindings, workgroups);
}

/// The rows of `x` as products of this adapter read them, for one that is multiplied several times: [`matmul`] packs
/// anew what is not.
pub(super) fn rows_to_multiply(graph: &mut Graph<'_>, label: &str, x: Tensor) -> Tensor {
    if !graph.gpu().matmul.reads_textures() || graph.is_texture(x) {
        return x;
    }
    let Slice { rows, channels, .. } = x.all();
    let params = Params { rows, depth: channels / 4, a_stride: channels / 4, ..Params::default() };
    pack_rows(graph, label, &params, Left { tensor: x, matrices: 1, gathered: false, applies_relu: false })
}

/// Where the rows of a left operand come from.
struct Left {
    tensor: Tensor,
    matrices: u32,
    gathered: bool,
    applies_relu: bool,
}

/// A left operand as the row texture that `matmul_texture` reads.
fn pack_rows(graph: &mut Graph<'_>, label: &str, params: &Params, left: Left) -> Tensor {
    let Left { tensor, matrices, gathered, applies_relu } = left;
    let label = format!("{label}.rows");
    let rows = graph.rows(Format::F32, &label, [matrices, params.rows, 4 * params.depth]);
    let names = [("CONVOLUTION", gathered), ("INPUT_F16", tensor.is_f16())];
    let kernel = Kernel::with("pack_rows", names).with_constant("INPUT_RELU", applies_relu);
    let workgroups = [params.depth.div_ceil(8), params.rows.div_ceil(8), matrices];
    graph.dispatch(&label, kernel, params, [Binding::read(tensor), Binding::write(rows)], workgroups);
    rows
}

/// The uniform block of a product whose output has as many `parts` for each matrix, one after another.
fn params(product: &Product<'_>, gather: Gather, parts: u32) -> Params {
    let Product { a, matrix, bias, epilogue, out, .. } = product;
    let rows = out.rows / (matrix.batch * parts);
    let Gather { in_height, in_width, in_channels, out_height, out_width, kernel, stride, padding } = gather;
    let columns = matrix.columns / 4;
    let (residual_offset, residual_stride, residual_rows) = match epilogue.residual {
        Residual::None => (0, 0, 1),
        Residual::Before(slice) | Residual::After(slice) => (slice.first / 4, slice.stride() / 4, slice.rows),
        Residual::Constant { rows, .. } => (0, columns, rows),
    };
    Params {
        rows,
        columns,
        depth: matrix.depth / 4,
        splits: 1,
        split_depth: matrix.depth / 4,
        a_offset: a.first / 4,
        a_stride: a.stride() / 4,
        a_batch: a.rows / matrix.batch * a.stride() / 4,
        b_batch: matrix.depth * columns,
        out_offset: out.first / 4,
        out_stride: out.stride() / 4,
        out_batch: rows * out.stride() / 4,
        has_bias: bias.is_some().into(),
        residual_kind: epilogue.residual.kind(),
        residual_offset,
        residual_stride,
        residual_rows,
        slope: epilogue.activation.slope,
        ceiling: epilogue.activation.ceiling,
        in_height,
        in_line: in_width * in_channels,
        kernel_line: kernel * in_channels,
        kernel_line_reciprocal: reciprocal(kernel * in_channels),
        out_height,
        out_width,
        stride_down: stride,
        stride_across: stride * in_channels,
        padding_down: padding,
        padding_across: padding * in_channels,
    }
}

#[cfg(test)]
mod tests {
    use super::reciprocal;

    #[test]
    fn products_divide() {
        for number in [1_u32, 3, 7, 16, 224, 683, 1365, 4089, 9459] {
            let end = (15 * number).min((1 << 28) / number);
            for n in 0..end {
                // As a shader does it, in 32 bits.
                let product = n.checked_mul(reciprocal(number)).expect("no overflow");
                assert_eq!(product >> 28, n / number, "{n} / {number}");
            }
        }
    }
}
