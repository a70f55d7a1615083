//! The descriptor: features adapted to the category (NETWORK: descriptor), after CFA's CoordConv head.

use crate::ModelConfig;
use crate::config::{DescriptorKind, PYTORCH_EPSILON};
use crate::gpu::{Constant, Format, Graph, Tensor};
use crate::ops::{
    Conv2d, Convolution, Epilogue, Geometry, Matrix, Product, Residual, avg_pool, matmul, resize, taps_inputs_outputs,
};
use crate::parameters::{Parameters, Part};

pub(crate) struct Descriptor {
    levels: Vec<Level>,
    grid: u32,
}

/// The way of one level's features to descriptors.
struct Level {
    /// The level's index in the backbone.
    level: usize,
    /// The rotation kind's three 1 x 1 convolutions; the plain kind has none.
    squeeze: Vec<Conv2d>,
    coord_conv: CoordConv,
}

/// A 1 x 1 convolution that also reads its pixel's coordinates (Liu et al., "An Intriguing Failing of Convolutional
/// Neural Networks and the CoordConv Solution", 2018).
struct CoordConv {
    /// The weights of the features.
    matrix: Matrix,
    /// The bias and what the two coordinate channels contribute, at every position: `[side * side][channels]`.
    position_bias: Constant,
}

/// Descriptors at the levels' own resolutions and together on the common grid.
pub(crate) struct Descriptors {
    pub levels: Vec<Tensor>,
    /// `[batch][grid][grid][D]`.
    pub whole: Tensor,
}

impl Descriptor {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, kind: DescriptorKind) -> Self {
        let levels = config.levels().into_iter().map(|level| Level::new(parameters, config, kind, level)).collect();
        Self { levels, grid: config.grid }
    }

    /// Appends the descriptors of the backbone's features.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, features: &[Tensor]) -> Descriptors {
        let levels: Vec<Tensor> = self.levels.iter().map(|level| level.write(graph, features[level.level])).collect();
        let channels = levels.iter().map(|level| level.channels).sum();
        let whole = graph.tensor("descriptor", [levels[0].batch, self.grid, self.grid, channels]);
        let mut first = 0;
        for (level, &tensor) in self.levels.iter().zip(&levels) {
            let part = whole.channel_range(first, tensor.channels);
            resize(graph, &format!("{}.resize", level.name()), tensor, part, false);
            first += tensor.channels;
        }
        Descriptors { levels, whole }
    }
}

impl Level {
    fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, kind: DescriptorKind, level: usize) -> Self {
        let squeeze = match kind {
            DescriptorKind::Plain => Vec::new(),
            DescriptorKind::Rotation => squeeze(config, level).map(|conv| Conv2d::new(parameters, conv)).into(),
        };
        let coord_conv = CoordConv::new(parameters, &coord_conv(config, level), config.level_sides()[level]);
        Self { level, squeeze, coord_conv }
    }

    fn name(&self) -> String {
        format!("descriptor.layer_{}", self.level + 1)
    }

    fn write(&self, graph: &mut Graph<'_>, feature: Tensor) -> Tensor {
        let name = self.name();
        let mut x = feature;
        for (index, conv) in self.squeeze.iter().enumerate() {
            let last = index + 1 == self.squeeze.len();
            let epilogue = if last { Epilogue::NONE } else { Epilogue::RELU };
            x = conv.write(graph, &format!("{name}.squeeze{}", index + 1), x, epilogue.stored(Format::F32));
        }
        let pooled = avg_pool(graph, &format!("{name}.pool"), x);
        self.coord_conv.write(graph, &name, pooled)
    }
}

/// The convolutions of a level's squeeze, as the network declares them: conv1, bn1, relu, conv2, bn2, relu, conv3.
pub(crate) fn squeeze(config: &ModelConfig, level: usize) -> [Convolution; 3] {
    let (features, channels) = (config.backbone.channels()[level], config.level_channels()[level]);
    // The authors' names carry a suffix from the second level on.
    let name = |part: &str| format!("adaptor.Descriptor.{part}{}", ["", "_1", "_2"][level]);
    let conv = |part: &str, inputs| Convolution::new(name(part), [channels, inputs], Geometry::POINTWISE);
    [
        conv("conv1", features).normed(name("bn1"), PYTORCH_EPSILON),
        conv("conv2", channels).normed(name("bn2"), PYTORCH_EPSILON),
        conv("conv3", channels),
    ]
}

/// A level's CoordConv, as the network declares it: the last two of its input channels are the coordinates.
pub(crate) fn coord_conv(config: &ModelConfig, level: usize) -> Convolution {
    let (name, channels) = (format!("adaptor.Descriptor.layer_{}.conv", level + 1), config.level_channels()[level]);
    Convolution::new(name, [channels, channels + 2], Geometry::POINTWISE).biased()
}

impl CoordConv {
    /// Declares a CoordConv with as many channels out as in, on `side` x `side` pixels.
    fn new(parameters: &mut Parameters<'_>, convolution: &Convolution, side: u32) -> Self {
        let (name, channels) = (&convolution.name, convolution.outputs);
        let constant = parameters.matrix(format!("{name}.weight"), [1, channels, channels], parameters.format());
        let position_bias = parameters.vector(format!("{name}.position_bias"), side * side * channels);
        let coord_conv = Self { matrix: Matrix::of(constant.clone()), position_bias: position_bias.clone() };
        parameters.declare(convolution.parameters(), move |values| {
            let mut rows = taps_inputs_outputs(&values[0], [channels, channels + 2, 1], channels + 2);
            let coordinates = rows.split_off((channels * channels) as usize);
            let biases = self::position_bias(&values[1], &coordinates, side as usize);
            Ok(Box::new([Part::whole(constant, rows), Part::whole(position_bias, biases)].into_iter()))
        });
        coord_conv
    }

    fn write(&self, graph: &mut Graph<'_>, name: &str, x: Tensor) -> Tensor {
        let out = graph.tensor(name, [x.batch, x.height, x.width, self.matrix.columns]);
        let residual = Residual::Constant { values: &self.position_bias, rows: x.height * x.width };
        let product = Product::new(x.all(), &self.matrix, out.all());
        matmul(graph, &format!("{name}.conv"), &Product { epilogue: Epilogue::NONE.with(residual), ..product });
        out
    }
}

/// `bias + row weight * row coordinate + column weight * column coordinate`; coordinates run from -1 to 1.
fn position_bias(bias: &[f32], coordinates: &[f32], side: usize) -> Vec<f32> {
    let (row_weights, column_weights) = coordinates.split_at(bias.len());
    let coordinate = |i: usize| 2.0 * i as f64 / (side - 1).max(1) as f64 - 1.0;
    let mut values = Vec::with_capacity(side * side * bias.len());
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        let channels = bias.iter().zip(row_weights).zip(column_weights);
        values.extend(channels.map(|((&bias, &row_weight), &column_weight)| {
            let shift = f64::from(row_weight) * coordinate(row) + f64::from(column_weight) * coordinate(column);
            (f64::from(bias) + shift) as f32
        }));
    }
    values
}
