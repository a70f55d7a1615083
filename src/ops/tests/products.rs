//! Matrix products and convolutions, in every shape of the kernel.

use super::*;
use crate::gpu::{Arithmetic, EngineOptions, Factors, MatrixUnits, Tiling, Winograd};
use crate::ops::{
    self, Activation, Algorithm, Conv2d, Convolution, Depthwise, Epilogue, Geometry, Input, Padding, Product, Residual,
    Transform,
};
use crate::probe::cases::products::{Formats, whole};
use crate::probe::harness::declared;
use crate::reference::{self, Window};

/// One device for each shape of matrix product it can run, and such with plain WGSL for matrix units.
fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let own = gpu().matmul;
        let shapes = [MatmulKernel::Tiled, MatmulKernel::Register];
        let shapes = shapes.into_iter().chain((own == MatmulKernel::RegisterTexture).then_some(own));
        let units = [16, 8].map(|side| EngineOptions {
            matmul: Some(MatmulKernel::Tiled),
            matrix_units: Some(MatrixUnits::plain(side)),
            ..EngineOptions::default()
        });
        let with_units = units.map(gpu_of);
        shapes.map(|shape| gpu_with(Some(shape))).chain(with_units).collect()
    })
}

/// A kernel shape and its tiling, and the choices a product's epilogue leaves.
#[derive(Clone, Debug)]
struct Choices {
    shape: usize,
    tiling: usize,
    /// Parts of the depth, where the tiling can split it.
    splits: u32,
    formats: Formats,
    /// What the factors may be, where both are stored as f16.
    factors: Factors,
    bias: bool,
    residual: u32,
    activation: usize,
    floor: bool,
}

fn choices() -> impl Strategy<Value = Choices> {
    let formats = [Formats::F32, Formats::F16_WEIGHTS, Formats::F16, Formats::FROM_F16, Formats::TO_F16];
    let formats = prop::sample::select(formats.to_vec());
    let factors = prop::sample::select(vec![Factors::F32, Factors::Half, Factors::HalfSums]);
    let kernels = (0..5_usize, 0..13_usize, prop::sample::select(vec![1, 1, 3_u32]), factors);
    (kernels, formats, any::<bool>(), 0..4_u32, 0..4_usize, any::<bool>()).prop_map(
        |((shape, tiling, splits, factors), formats, bias, residual, activation, floor)| Choices {
            shape,
            tiling,
            splits,
            formats,
            factors,
            bias,
            residual,
            activation,
            floor,
        },
    )
}

impl Choices {
    fn gpu(&self) -> &'static Gpu {
        &gpus()[self.shape % gpus().len()]
    }

    fn tiling(&self) -> Tiling {
        let are_halves = self.formats.weights.is_f16() && self.formats.from.is_f16();
        let tilings = self.gpu().tilings(if are_halves { self.factors } else { Factors::F32 });
        let tiling = tilings[self.tiling % tilings.len()];
        if tiling.is_for_gpus() { tiling.split(self.splits) } else { tiling }
    }

    fn graph(&self) -> Graph<'static> {
        Graph::fenced(self.gpu(), FENCE).tiled(self.tiling())
    }

    fn adds_halves(&self) -> bool {
        self.tiling().arithmetic == Arithmetic::Halves
    }

    /// Values to multiply, which f16 adds exactly where it does.
    fn factor(&self, value: f32) -> f32 {
        if self.adds_halves() { whole(value) } else { value }
    }

    fn activation(&self) -> Activation {
        [Activation::IDENTITY, Activation::RELU, Activation::LEAKY_RELU, Activation::RELU6][self.activation]
    }

    fn floor(&self) -> f32 {
        if self.floor { 0.0 } else { f32::MIN }
    }

    /// What the epilogue makes of exact sums.
    fn finish(&self, sum: f32, bias: f32, residual: f32) -> f32 {
        let mut y = sum + if self.bias { bias } else { 0.0 };
        if [1, 3].contains(&self.residual) {
            y += residual;
        }
        y = match self.activation {
            0 => y,
            1 => y.max(0.0),
            2 => y.max(0.01 * y),
            _ => y.clamp(0.0, 6.0),
        };
        if self.residual == 2 { y + residual } else { y }
    }

    /// The residual, of `rows` of the output or, as a constant, of the first `period`.
    fn residual<'a>(&self, tensor: Slice, constant: &'a Constant, period: u32) -> Residual<'a> {
        match self.residual {
            0 => Residual::None,
            1 => Residual::Before(tensor),
            2 => Residual::After(tensor),
            _ => Residual::Constant { values: constant, rows: period },
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn matmul(
        choices in choices(), batch in 1..3_u32, rows in 1..90_u32, quarters in [1..12_u32, 1..40_u32],
        [before, after] in [0..3_u32, 0..3_u32], period in 1..90_u32, seed: u32,
    ) {
        let (gpu, seed) = (choices.gpu(), u64::from(seed));
        let [depth, columns] = quarters.map(|quarter| 4 * quarter);
        let period = period.min(rows);
        let Formats { weights, from, to } = choices.formats;
        let a = random_maps_in(from, [batch, rows, 1, depth], seed).map(|value| choices.factor(value));
        let count = (batch * depth * columns) as usize;
        let b = if choices.adds_halves() { exact_values(count, seed + 1) } else { halved(values(count, seed + 1)) };
        let bias = values(columns as usize, seed + 2);
        let residual = random_maps_in(to, [batch, rows, 1, columns], seed + 3);
        let weights = matrix(gpu, &b, [batch, depth, columns], weights);
        let bias_constant = vector(gpu, &bias);
        let constant = vector(gpu, &residual.values[..(period * columns) as usize]);

        let mut graph = choices.graph();
        let tensor = input_as(from, &mut graph, &a);
        let added = input_as(to, &mut graph, &residual);
        let wide = graph.tensor_as(to, "wide", [batch, rows, 1, 4 * before + columns + 4 * after]);
        let out = wide.channel_range(4 * before, columns);
        // Residuals are indexed by row within a matrix of the batch, so they are tested with one matrix.
        let kind = if batch == 1 { choices.residual } else { 0 };
        // A constant is f32 and so is what it is added to.
        let choices = Choices { residual: if to == Format::F16 { kind % 3 } else { kind }, ..choices };
        let residual_kind = choices.residual(added.all(), &constant, period);
        let epilogue = Epilogue::of(choices.activation()).with(residual_kind);
        let bias_constant = choices.bias.then_some(&bias_constant);
        let product = Product::new(tensor.all(), &weights, out);
        let product = Product { floor: choices.floor(), bias: bias_constant, epilogue, ..product };
        ops::matmul(&mut graph, "product", &product);
        let found = run(graph, &[(tensor, &a.values), (added, &residual.values)], out);

        let floored = a.map(|value| value.max(choices.floor()));
        let (m, k, n) = (rows as usize, depth as usize, columns as usize);
        for z in 0..batch as usize {
            let sums = reference::matmul(&floored.values[z * m * k..], &b[z * k * n..][..k * n], [m, k, n]);
            let mut ours = Vec::new();
            let stride = wide.channels as usize;
            for pixel in found[z * m * stride..][..m * stride].chunks_exact(stride) {
                let (inside, after) = pixel[4 * before as usize..].split_at(n);
                assert!(pixel[..4 * before as usize].iter().chain(after).all(|&value| value == SENTINEL));
                ours.extend(inside);
            }
            let truth: Vec<f32> = sums
                .iter()
                .enumerate()
                .map(|(index, &sum)| {
                    let row = if choices.residual == 3 { index / n % period as usize } else { index / n };
                    choices.finish(sum, bias[index % n], residual.values[row * n + index % n])
                })
                .collect();
            assert_close(&ours, &truth, 1e-5 + rounding(to));
        }
    }

    /// Pointwise, Winograd and implicit convolutions alike.
    #[test]
    fn conv2d(
        choices in choices(), batch in 1..3_u32, [height, width] in [1..14_u32, 1..14_u32],
        quarters in [1..5_u32, 1..20_u32], kind in 0..6_usize,
        winograd in prop::sample::select(vec![Winograd::F2x2, Winograd::F4x4]), before_use: bool, seed: u32,
    ) {
        let (gpu, seed) = (choices.gpu(), u64::from(seed));
        let [inputs, outputs] = quarters.map(|quarter| 4 * quarter);
        // "SAME" is for square images.
        let width = if kind == 5 { height } else { width };
        let (kernel, stride) = [(1, 1), (3, 1), (1, 2), (3, 2), (7, 2), (3, 2)][kind];
        let padding = if kind == 5 { Padding::Same } else { Padding::Even(kernel / 2) };
        let geometry = Geometry { kernel, stride, padding };
        let size = [height as usize, width as usize];
        let window = match padding {
            Padding::Same => Window::same(kernel as usize, stride as usize, size[0]),
            Padding::Even(zeros) => Window::even(kernel as usize, stride as usize, zeros as usize, size),
        };
        // Winograd's sums are never of f16, and weights that are transformed before use are f32.
        let factors = match choices.factors {
            _ if kind == 1 && before_use => Factors::F32,
            Factors::HalfSums if kind == 1 => Factors::Half,
            factors => factors,
        };
        let choices = Choices { factors, ..choices };
        let Formats { weights, from, to } = choices.formats;
        let x = random_maps_in(from, [batch, height, width, inputs], seed).map(|value| choices.factor(value));
        let shape = [outputs, inputs, kernel, kernel].map(|n| n as usize);
        let weight = exact_values(shape.iter().product(), seed + 1);
        let algorithm = match geometry.algorithm(winograd) {
            Algorithm::Winograd(winograd, _) if before_use => Algorithm::Winograd(winograd, Transform::BeforeUse),
            algorithm => algorithm,
        };
        let bias = values(outputs as usize, seed + 2);
        let [out_height, out_width] = window.out.map(|n| n as u32);
        let residual = random_maps_in(to, [batch, out_height, out_width, outputs], seed + 3);
        let choices = Choices { residual: choices.residual % 3, ..choices };

        let bias_constant = vector(gpu, &bias);
        let convolution = Convolution::new("conv", [outputs, inputs], geometry);
        let convolution = if choices.bias { convolution.biased() } else { convolution };
        let declare = |parameters: &mut Parameters<'_>| Conv2d::computed_by(algorithm, parameters, convolution);
        let conv = block_on(declared(gpu, weights, &weight, &bias, declare)).expect("small enough");
        let mut graph = choices.graph();
        let tensor = input_as(from, &mut graph, &x);
        let added = input_as(to, &mut graph, &residual);
        let residual_kind = choices.residual(added.all(), &bias_constant, 1);
        let x_in = if choices.floor { Input::relu(tensor) } else { tensor.into() };
        let epilogue = Epilogue::of(choices.activation()).with(residual_kind).stored(to);
        let out = conv.write(&mut graph, "conv", x_in, epilogue);
        let found = run(graph, &[(tensor, &x.values), (added, &residual.values)], out.all());

        let floored = x.map(|value| value.max(choices.floor()));
        let sums = reference::conv2d(&floored, &weight, None, window);
        let truth: Vec<f32> = sums.values.iter().zip(&residual.values).enumerate()
            .map(|(index, (&sum, &added))| choices.finish(sum, bias[index % outputs as usize], added))
            .collect();
        // Rounding is as large as the sums, whatever an activation leaves of them.
        let largest = |values: &[f32]| values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let clipped = (largest(&sums.values) / largest(&truth).max(1e-3)).max(1.0);
        assert_close(&found, &truth, clipped * (1e-5 + choices.formats.loss(algorithm)));
    }

    #[test]
    fn depthwise_convolution(
        batch in 1..3_u32, side in 1..14_u32, quarter in 1..6_u32, kernel in 1..4_u32, stride in 1..3_u32, same: bool,
        format in formats(), seed: u32,
    ) {
        let (kernel, channels, seed) = (2 * kernel + 1, 4 * quarter, u64::from(seed));
        let size = [side as usize; 2];
        let (padding, window) = if same {
            (Padding::Same, Window::same(kernel as usize, stride as usize, size[0]))
        } else {
            (Padding::Even(kernel / 2), Window::even(kernel as usize, stride as usize, kernel as usize / 2, size))
        };
        let x = random_maps_in(format, [batch, side, side, channels], seed);
        let shape = [channels, 1, kernel, kernel].map(|n| n as usize);
        let weight = values(shape.iter().product(), seed + 1);
        let bias = values(channels as usize, seed + 2);
        let convolution = Convolution::new("conv", [channels, 1], Geometry { kernel, stride, padding }).biased();
        let declare = |parameters: &mut Parameters<'_>| Depthwise::new(parameters, convolution);
        let conv = block_on(declared(gpu(), Format::F32, &weight, &bias, declare)).expect("small enough");
        let mut graph = Graph::fenced(gpu(), FENCE);
        let tensor = input_as(format, &mut graph, &x);
        let out = conv.write(&mut graph, "conv", tensor, Activation::RELU6);
        let found = run(graph, &[(tensor, &x.values)], out.all());
        let truth = reference::depthwise(&x, &weight, &bias, window).map(|value| value.clamp(0.0, 6.0));
        assert_close(&found, &truth.values, 1e-5 + rounding(format));
    }
}

/// What f16 cannot hold becomes its largest number.
#[test]
fn nothing_becomes_infinite() {
    let x = Maps { shape: [1, 1, 1, 4], values: vec![60000.0, -60000.0, 1.0, 0.0] };
    let weight = [2.0, -2.0, 1.0, 0.0].map(|weight| [weight; 4]);
    let convolution = Convolution::new("conv", [4, 4], Geometry::POINTWISE);
    let declare = |parameters: &mut Parameters<'_>| Conv2d::new(parameters, convolution);
    let conv = block_on(declared(gpu(), Format::F16, weight.as_flattened(), &[], declare)).expect("small enough");
    let added = Maps { shape: [1, 1, 1, 4], values: vec![0.0; 4] };
    let mut graph = Graph::fenced(gpu(), FENCE);
    let [tensor, residual] = [&x, &added].map(|maps| input_as(Format::F16, &mut graph, maps));
    let kind = Residual::Before(residual.all());
    let out = conv.write(&mut graph, "conv", Input::relu(tensor), Epilogue::NONE.with(kind));
    let found = run(graph, &[(tensor, &x.values), (residual, &added.values)], out.all());
    // 60001 times 2, -2, 1 and 0, added to 0: the last fits.
    assert_eq!(found, [65504.0, -65504.0, 60000.0, 0.0]);
}
