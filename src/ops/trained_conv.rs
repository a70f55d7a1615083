//! Convolutions whose weights change while they are used, and their gradients: stride 1, padding that keeps the size.

use super::activation::Epilogue;
use super::groups_of_64;
use super::matmul::{
    AsMatrices, Gather, Matrix, Product, as_matrices, matmul, matmul_gathered, rows_as_matrices, rows_to_multiply,
    transpose,
};
use super::winograd;
use crate::gpu::{Binding, Factors, Graph, Kernel, Layer, Slice, Tensor, Winograd, uniforms};

/// A convolution's weights in memory that an optimiser writes to.
#[derive(Clone, Copy)]
pub(crate) struct TrainedConv {
    /// `[1][kernel * kernel * inputs][1][outputs]`.
    pub weights: Tensor,
    /// Side of the square kernel.
    pub kernel: u32,
}

impl TrainedConv {
    fn taps(self) -> u32 {
        self.kernel * self.kernel
    }

    fn inputs(self) -> u32 {
        self.weights.height / self.taps()
    }

    /// `epilogue(conv2d(x, weights, padding=kernel // 2))` into `out`.
    pub(crate) fn write(self, graph: &mut Graph<'_>, label: &str, x: Tensor, out: Slice, epilogue: Epilogue<'_>) {
        if let Some(winograd) = self.winograd(graph, x, out) {
            return self.by_winograd(graph, label, winograd, [x, out.tensor], self.weights, epilogue);
        }
        let matrix = if graph.gpu().matmul.reads_textures() {
            self.matrix(graph, &format!("{label}.matrix"), false)
        } else {
            Matrix::made(self.weights)
        };
        self.multiply(graph, label, x, &Product { epilogue, ..Product::new(x.all(), &matrix, out) });
    }

    /// The gradient of the input from that of the output, through `epilogue`.
    pub(crate) fn input_gradient(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        dy: Tensor,
        epilogue: Epilogue<'_>,
    ) -> Tensor {
        let out = graph.tensor(label, [dy.batch, dy.height, dy.width, self.inputs()]);
        if let Some(winograd) = self.winograd(graph, dy, out.all()) {
            let turned = graph.tensor(&format!("{label}.turned"), [1, self.taps() * dy.channels, 1, self.inputs()]);
            let how = AsMatrices { taps: self.taps(), transposed: true };
            as_matrices(graph, &format!("{label}.turned"), self.weights, how, turned);
            self.by_winograd(graph, label, winograd, [dy, out], turned, epilogue);
            return out;
        }
        let matrix = self.matrix(graph, &format!("{label}.matrix"), true);
        self.multiply(graph, label, dy, &Product { epilogue, ..Product::new(dy.all(), &matrix, out.all()) });
        out
    }

    /// The gradient of the weights, in one or several parts whose sum it is:
    /// `[parts][kernel * kernel * inputs][1][outputs]`.
    pub(crate) fn weight_gradient(self, graph: &mut Graph<'_>, label: &str, x: Tensor, dy: Tensor) -> Tensor {
        graph.ensure_equal(label, [x.channels, dy.channels], [self.inputs(), self.weights.channels]);
        graph.ensure_equal(label, [x.batch, x.height, x.width], [dy.batch, dy.height, dy.width]);
        if let Some(winograd) = self.winograd(graph, x, dy.all()) {
            return winograd::weight_gradient(graph, label, winograd, x, dy);
        }
        match self.matrices_of_gradient(graph, x) {
            Some(matrices) => {
                let columns = transpose(graph, &format!("{label}.columns"), x, matrices);
                let matrix = rows_as_matrices(graph, &format!("{label}.gradients"), dy, matrices);
                let out = graph.tensor(label, [matrices, x.channels, 1, dy.channels]);
                matmul(graph, label, &Product::new(columns.all(), &matrix, out.all()));
                out
            }
            None => self.weight_gradient_tap_by_tap(graph, label, x, dy),
        }
    }

    /// Of how many products the gradient of 1 x 1 weights is the sum, if it is one: of each image's or of a single one
    /// of all pixels, whose number is a multiple of 4.
    fn matrices_of_gradient(self, graph: &Graph<'_>, x: Tensor) -> Option<u32> {
        let gpu = graph.gpu();
        let most = if gpu.matmul.reads_textures() { gpu.limits.max_texture_dimension_2d } else { u32::MAX };
        let fits = |matrices: &u32| {
            let pixels = x.pixels() / matrices;
            self.kernel == 1 && pixels.is_multiple_of(4) && pixels <= most
        };
        [x.batch, 1].into_iter().find(fits)
    }

    /// The gradient of the weights of each image, by sums over all pixels for each tap.
    pub(crate) fn weight_gradient_tap_by_tap(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        x: Tensor,
        dy: Tensor,
    ) -> Tensor {
        uniforms! {
            struct Params {
                height: u32,
                width: u32,
                kernel: u32,
                inputs: u32,
                outputs: u32,
            }
        }
        let out = graph.tensor(label, [x.batch, self.weights.height, 1, self.weights.channels]);
        let params = Params {
            height: x.height,
            width: x.width,
            kernel: self.kernel,
            inputs: x.channels / 4,
            outputs: dy.channels / 4,
        };
        let tiles = params.inputs.div_ceil(2) * params.outputs.div_ceil(2);
        let x_rows = rows_to_multiply(graph, &format!("{label}.x"), x);
        let dy_rows = rows_to_multiply(graph, &format!("{label}.dy"), dy);
        let kernel = Kernel::with("weight_gradient", [("TEXTURE", graph.is_texture(x_rows))]);
        let bindings = [Binding::read(x_rows), Binding::read(dy_rows), Binding::write(out)];
        let workgroups = [groups_of_64(tiles), self.taps(), x.batch];
        graph.dispatch(label, kernel, &params, bindings, workgroups);
        graph.estimate(u64::from(x.pixels()) * self.weights.values());
        out
    }

    /// Which of Winograd's algorithms computes it, if one does: of 3 x 3 kernels, where nothing in between is larger
    /// than the device binds at once.
    fn winograd(self, graph: &Graph<'_>, x: Tensor, out: Slice) -> Option<Winograd> {
        let gpu = graph.gpu();
        let winograd = gpu.matmul.winograd(x.height);
        let bytes = winograd::most_bytes(winograd, x, out.channels);
        let fits = bytes <= gpu.limits.max_storage_buffer_binding_size;
        (self.kernel == 3 && out.is_whole() && fits).then_some(winograd)
    }

    /// `epilogue(conv2d(x, weights))` into `out`; `weights` is a buffer `[3 * 3][inputs][outputs]`.
    fn by_winograd(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        winograd: Winograd,
        [x, out]: [Tensor; 2],
        weights: Tensor,
        epilogue: Epilogue<'_>,
    ) {
        let matrix = winograd::weights(graph, label, winograd, &Matrix::of_taps(weights, self.taps()));
        let tiling = graph.tiling(&layer(self.kernel, x, out.channels), Some(winograd));
        let product = Product { epilogue, ..Product::new(x.all(), &matrix, out.all()) };
        winograd::conv2d(graph, label, winograd, x, out, &product, tiling);
    }

    /// The weights as a product's right operand: as they are, or turned around for gradients of the input.
    fn matrix(self, graph: &mut Graph<'_>, label: &str, transposed: bool) -> Matrix {
        let (inputs, outputs) = (self.inputs(), self.weights.channels);
        let (rows, columns) = if transposed { (outputs, inputs) } else { (inputs, outputs) };
        let out = graph.matrices(label, [1, self.taps() * rows, columns]);
        as_matrices(graph, label, self.weights, AsMatrices { taps: self.taps(), transposed }, out);
        Matrix::made(out)
    }

    fn multiply(self, graph: &mut Graph<'_>, label: &str, x: Tensor, product: &Product<'_>) {
        if self.kernel == 1 {
            return matmul(graph, label, product);
        }
        let gather = Gather {
            in_height: x.height,
            in_width: x.width,
            in_channels: x.channels / 4,
            out_height: x.height,
            out_width: x.width,
            kernel: self.kernel,
            stride: 1,
            padding: self.kernel / 2,
        };
        let tiling = graph.tiling(&layer(self.kernel, x, product.matrix.columns), None);
        matmul_gathered(graph, label, product, gather, tiling);
    }
}

fn layer(kernel: u32, Tensor { batch, height, width, channels, .. }: Tensor, outputs: u32) -> Layer {
    Layer { kernel, stride: 1, batch, height, width, inputs: channels, outputs, f16: false, factors: Factors::F32 }
}
