//! 3 x 3 convolutions by Winograd's algorithms, `shaders/winograd*.wgsl`.

use super::activation::Input;
use super::groups_of_64;
use super::matmul::{Matrix, Product, matmul, matmul_tiled, transpose};
use crate::gpu::{Binding, Constant, Format, Graph, Kernel, Tensor, Tiling, Winograd, uniforms};
use crate::parameters::Part;

uniforms! {
    struct InputParams {
        height: u32,
        width: u32,
        channels: u32,
        tiles_down: u32,
        tiles_across: u32,
        tiles: u32,
        input_floor: f32,
    }
}

uniforms! {
    struct OutputParams {
        height: u32,
        width: u32,
        channels: u32,
        tiles_down: u32,
        tiles_across: u32,
        tiles: u32,
        has_bias: u32,
        residual_kind: u32,
        slope: f32,
        ceiling: f32,
    }
}

uniforms! {
    struct WeightParams {
        inputs: u32,
        columns: u32,
    }
}

/// The transformed weights of a 3 x 3 convolution whose own are matrices `[3 * 3][in][out]` in a buffer.
pub(super) fn weights(graph: &mut Graph<'_>, label: &str, winograd: Winograd, own: &Matrix) -> Matrix {
    let Matrix { depth, columns, format, .. } = *own;
    let label = format!("{label}.weights");
    let positions = winograd.positions();
    let transformed = graph.matrices(&label, [positions, depth, columns]);
    let [.., shader] = winograd.shaders();
    let kernel = Kernel::with(shader, [("WEIGHTS_F16", format.is_f16()), ("TEXTURE", graph.is_texture(transformed))]);
    let params = WeightParams { inputs: depth, columns: columns / 4 };
    let bindings = [own.binding(), Binding::write(transformed)];
    graph.dispatch(&label, kernel, &params, bindings, [groups_of_64(columns / 4), depth, 1]);
    Matrix::made(transformed)
}

/// The tiles of images.
#[derive(Clone, Copy)]
struct Tiles {
    batch: u32,
    down: u32,
    across: u32,
}

impl Tiles {
    /// Those that cover each image.
    fn of(winograd: Winograd, x: Tensor) -> Self {
        let [down, across] = [x.height, x.width].map(|size| size.div_ceil(winograd.tile()));
        Self { batch: x.batch, down, across }
    }

    /// With rows of tiles below each image, all padding, until the tiles can be the depth of a product.
    fn in_fours(self) -> Self {
        let fits = |down: &u32| Self { down: *down, ..self }.count().is_multiple_of(4);
        Self { down: (self.down..).find(fits).unwrap_or(self.down), ..self }
    }

    fn count(self) -> u32 {
        self.batch * self.down * self.across
    }

    /// Workgroups of a transform of all tiles that works on so many elements of each pixel.
    fn workgroups(self, elements: u32) -> [u32; 3] {
        [groups_of_64(self.across * elements), self.batch * self.down, 1]
    }
}

/// The most bytes that one of patches, products and transformed weights takes of a convolution of `x` in f32, or of its
/// gradients.
pub(super) fn most_bytes(winograd: Winograd, x: Tensor, outputs: u32) -> u64 {
    let tiles = Tiles::of(winograd, x).in_fours().count();
    4 * u64::from(winograd.positions()) * u64::from(tiles.max(x.channels)) * u64::from(x.channels.max(outputs))
}

/// How the patches of a convolution from `x` to `out` are stored: as short as the shorter of both.
pub(super) fn format_of_patches(x: Tensor, out: Tensor) -> Format {
    if x.is_f16() || out.is_f16() { Format::F16 } else { Format::F32 }
}

/// Fills `out` from `x`, whose matrices and epilogue `convolution` names. Residuals must be whole tensors of `out`'s
/// shape.
pub(super) fn conv2d(
    graph: &mut Graph<'_>,
    label: &str,
    winograd: Winograd,
    x: Tensor,
    out: Tensor,
    convolution: &Product<'_>,
    tiling: Tiling,
) {
    let Product { floor, matrix, bias, epilogue, .. } = convolution;
    let tiles = Tiles::of(winograd, x);
    let positions = winograd.positions();
    let [input_shader, output_shader, _] = winograd.shaders();

    // The products' rounding weighs as much as that of the patches, and they are read only once: they are as long as
    // the longer of both ends.
    let of_products = if x.format == out.format { x.format } else { Format::F32 };
    let shape = [positions, tiles.count(), x.channels];
    let patches = graph.rows(format_of_patches(x, out), &format!("{label}.patches"), shape);
    let of_input = Transform { shader: input_shader, x, tiles, floor: *floor, makes_matrices: false };
    transform(graph, &format!("{label}.input"), of_input, patches);

    let products =
        graph.scratch_as(of_products, &format!("{label}.products"), [positions, tiles.count(), 1, out.channels]);
    let product = Product::new(patches.all(), matrix, products.all());
    matmul_tiled(graph, &format!("{label}.product"), &product, tiling);

    let element = graph.gpu().matmul.transformed_channels();
    let params = OutputParams {
        height: out.height,
        width: out.width,
        channels: out.channels / element,
        tiles_down: tiles.down,
        tiles_across: tiles.across,
        tiles: tiles.count(),
        has_bias: bias.is_some().into(),
        residual_kind: epilogue.residual.kind(),
        slope: epilogue.activation.slope,
        ceiling: epilogue.activation.ceiling,
    };
    let bias = bias.map_or(Binding::UNUSED, Binding::read);
    let bindings = [Binding::read(products), bias, epilogue.residual.binding(), Binding::write(out)];
    let names = [("INPUT_F16", products.is_f16()), ("OUTPUT_F16", out.is_f16()), ("PAIRS", element == 2)];
    let kernel = Kernel::with(output_shader, names).with_constant("RESIDUAL", epilogue.residual.kind() != 0);
    epilogue.residual.ensure_suits(graph, label, out.all());
    graph.dispatch(&format!("{label}.output"), kernel, &params, bindings, tiles.workgroups(params.channels));
}

/// How the tiles of an image, or of the gradient of one, are transformed.
#[derive(Clone, Copy)]
struct Transform {
    shader: &'static str,
    x: Tensor,
    tiles: Tiles,
    /// Values are read as at least this.
    floor: f32,
    /// Whether right operands of products are made, not left ones.
    makes_matrices: bool,
}

/// Appends a kernel of `shaders/shared/winograd_patches.wgsl`.
fn transform(graph: &mut Graph<'_>, label: &str, of: Transform, out: Tensor) {
    let Transform { shader, x, tiles, floor, makes_matrices } = of;
    let element = graph.gpu().matmul.transformed_channels();
    let params = InputParams {
        height: x.height,
        width: x.width,
        channels: x.channels / element,
        tiles_down: tiles.down,
        tiles_across: tiles.across,
        tiles: tiles.count(),
        input_floor: floor,
    };
    let names = [
        ("TEXTURE", graph.is_texture(out)),
        ("LAYERS", graph.is_texture(out) && makes_matrices),
        ("INPUT_F16", x.is_f16()),
        ("OUTPUT_F16", out.is_f16()),
        ("PAIRS", element == 2),
    ];
    let bindings = [Binding::read(x), Binding::write(out)];
    graph.dispatch(label, Kernel::with(shader, names), &params, bindings, tiles.workgroups(params.channels));
}

/// The gradient of the weights of a 3 x 3 convolution, `[1][3 * 3 * inputs][1][outputs]`: `G^T m G` of the products m
/// of transformed patches of `x`, `B^T d B`, with transformed gradients of the output, `A dy A^T`, summed over all
/// tiles. Each is the transpose of what the forward pass does, so that a tile takes 16 or 36 multiplications where the
/// sum over pixels takes 36 or 144.
pub(super) fn weight_gradient(graph: &mut Graph<'_>, label: &str, winograd: Winograd, x: Tensor, dy: Tensor) -> Tensor {
    let (positions, tiles) = (winograd.positions(), Tiles::of(winograd, x).in_fours());
    let [input_shader, ..] = winograd.shaders();
    let [output_shader, weights_shader] = winograd.gradient_shaders();
    let of_input = Transform { shader: input_shader, x, tiles, floor: Input::NO_FLOOR, makes_matrices: false };
    let of_output = Transform { shader: output_shader, x: dy, makes_matrices: true, ..of_input };
    let patches = graph.scratch(&format!("{label}.patches"), [positions, tiles.count(), 1, x.channels]);
    transform(graph, &format!("{label}.input"), of_input, patches);
    let columns = transpose(graph, &format!("{label}.columns"), patches, positions);
    let gradients = graph.matrices(&format!("{label}.gradients"), [positions, tiles.count(), dy.channels]);
    transform(graph, &format!("{label}.output"), of_output, gradients);
    let products = graph.scratch(&format!("{label}.products"), [positions, x.channels, 1, dy.channels]);
    let matrix = Matrix::made(gradients);
    matmul(graph, &format!("{label}.product"), &Product::new(columns.all(), &matrix, products.all()));
    let out = graph.tensor(label, [1, 9 * x.channels, 1, dy.channels]);
    let params = WeightParams { inputs: x.channels, columns: dy.channels / 4 };
    let bindings = [Binding::read(products), Binding::write(out)];
    let workgroups = [groups_of_64(params.columns), params.inputs, 1];
    graph.dispatch(&format!("{label}.weights"), Kernel::new(weights_shader), &params, bindings, workgroups);
    out
}

/// The transformed weights of a 3 x 3 convolution `[3 * 3][inputs][outputs]`, `G g G^T` in f64, one row of the square
/// of positions after another: all together they are up to four times as large as its own.
pub(super) fn transformed(
    winograd: Winograd,
    weight: Vec<f32>,
    constant: Constant,
) -> impl Iterator<Item = Part> + Send {
    let side = winograd.tile() + 2;
    (0..side as usize).map(move |row| {
        let values = match winograd {
            Winograd::F2x2 => transformed_row(&F2X2, row, &weight),
            Winograd::F4x4 => transformed_row(&f4x4(), row, &weight),
        };
        Part { constant: constant.clone(), first: row * values.len(), values }
    })
}

/// G of F(2x2, 3x3).
const F2X2: [[f64; 3]; 4] = [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

/// G of F(4x4, 3x3) with the interpolation points of `shaders/shared/winograd4_points.wgsl`: a row for each point x,
/// its powers over the product of its differences from the other finite points, and the last for infinity.
fn f4x4() -> [[f64; 3]; 6] {
    const POINTS: [f64; 5] = [0.0, 0.625, -0.625, 1.5, -1.5];
    std::array::from_fn(|row| match POINTS.get(row) {
        Some(&x) => {
            let others = POINTS.iter().filter(|&&other| other != x);
            let product: f64 = others.map(|other| x - other).product();
            [1.0 / product, x / product, x * x / product]
        }
        None => [0.0, 0.0, 1.0],
    })
}

/// Row `row` of the square of positions, `[side][inputs][outputs]`.
fn transformed_row<const SIDE: usize>(g: &[[f64; 3]; SIDE], row: usize, weight: &[f32]) -> Vec<f32> {
    let plane = weight.len() / 9;
    let mut matrices = vec![0.0; SIDE * plane];
    let down = g[row];
    for at in 0..plane {
        let across: [f64; 3] =
            std::array::from_fn(|x| (0..3).map(|y| down[y] * f64::from(weight[(3 * y + x) * plane + at])).sum());
        for (column, right) in g.iter().enumerate() {
            let value: f64 = (0..3).map(|x| across[x] * right[x]).sum();
            matrices[column * plane + at] = value as f32;
        }
    }
    matrices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_kernel() {
        // G (1 1 1)^T = (1, 1.5, 0.5, 1).
        let g = [1.0, 1.5, 0.5, 1.0];
        for (row, down) in g.iter().enumerate() {
            assert_eq!(transformed_row(&F2X2, row, &[1.0; 9]), g.map(|right| down * right));
        }
    }
}
