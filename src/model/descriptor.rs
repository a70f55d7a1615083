//! The descriptor: features adapted to the category (NETWORK: descriptor), after CFA's CoordConv head.

use super::loader::{Loader, Norm};
use crate::config::{DescriptorKind, LEVELS};
use crate::gpu::{Format, Graph, Tensor};
use crate::ops::{Activation, Conv2d, Epilogue, Matrix, Product, Residual, avg_pool, conv2d_as, matmul, resize};
use crate::weights::fold::EPSILON;
use crate::weights::layout;
use crate::{ModelConfig, Result};

pub(crate) struct Descriptor {
    levels: Vec<Level>,
    grid: u32,
}

struct Level {
    /// The rotation kind's three 1 x 1 convolutions; the plain kind has none.
    squeeze: Vec<Conv2d>,
    /// CoordConv's weights of the features.
    matrix: Matrix,
    /// CoordConv's bias and what its two coordinate channels contribute, at every position: `[side * side][channels]`.
    position_bias: wgpu::Buffer,
}

/// Descriptors at the levels' own resolutions and together on the common grid.
pub(crate) struct Descriptors {
    pub levels: [Tensor; LEVELS],
    /// `[batch][grid][grid][D]`.
    pub whole: Tensor,
}

impl Descriptor {
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self> {
        let mut levels = Vec::with_capacity(LEVELS);
        for level in 0..LEVELS {
            levels.push(Level::load(loader, config, level).await?);
        }
        Ok(Self { levels, grid: config.grid })
    }

    pub(crate) fn write(&self, graph: &mut Graph<'_>, features: [Tensor; LEVELS]) -> Descriptors {
        let levels = [0, 1, 2].map(|level| self.levels[level].write(graph, level, features[level]));
        let channels = levels.iter().map(|level| level.channels).sum();
        let whole = graph.tensor("descriptor", [levels[0].batch, self.grid, self.grid, channels]);
        let mut first = 0;
        for (index, level) in levels.into_iter().enumerate() {
            let part = whole.channel_range(first, level.channels);
            resize(graph, &format!("descriptor.layer_{}.resize", index + 1), level, part, false);
            first += level.channels;
        }
        Descriptors { levels, whole }
    }
}

impl Level {
    async fn load(loader: &mut Loader<'_>, config: &ModelConfig, level: usize) -> Result<Self> {
        let features = config.backbone.channels()[level];
        let channels = config.level_channels()[level];
        let squeeze = match config.descriptor {
            DescriptorKind::Plain => Vec::new(),
            DescriptorKind::Rotation => load_squeeze(loader, level, features, channels).await?,
        };
        let name = format!("adaptor.Descriptor.layer_{}.conv", level + 1);
        let (inputs, outputs) = (channels as usize, channels as usize);
        let weight = loader.weights.read(&format!("{name}.weight"), &[outputs, inputs + 2, 1, 1])?;
        let bias = loader.weights.read(&format!("{name}.bias"), &[outputs])?;
        let rows = layout::some_inputs(&weight, inputs + 2, 0..inputs);
        let matrix = loader.matrix(&format!("{name}.weight"), &rows, [1, channels, channels]).await?;
        let coordinates = layout::some_inputs(&weight, inputs + 2, inputs..inputs + 2);
        let side = config.level_sides()[level] as usize;
        let position_bias = position_bias(&bias, &coordinates, side);
        let position_bias = loader.vector(&format!("{name}.position_bias"), &position_bias).await?;
        Ok(Self { squeeze, matrix, position_bias })
    }

    fn write(&self, graph: &mut Graph<'_>, level: usize, feature: Tensor) -> Tensor {
        let name = format!("descriptor.layer_{}", level + 1);
        let mut x = feature;
        for (index, conv) in self.squeeze.iter().enumerate() {
            let last = index + 1 == self.squeeze.len();
            let activation = if last { Activation::IDENTITY } else { Activation::RELU };
            let label = format!("{name}.squeeze{}", index + 1);
            x = conv2d_as(Format::F32, graph, &label, x, conv, activation, Residual::None);
        }
        let pooled = avg_pool(graph, &format!("{name}.pool"), x);
        let out = graph.tensor(&name, [x.batch, x.height, x.width, self.matrix.columns]);
        let residual = Residual::Constant { buffer: &self.position_bias, rows: x.height * x.width };
        let epilogue = Epilogue { residual, ..Epilogue::NONE };
        let (a, out_rows) = (pooled.all(), out.all());
        let product = Product { a, input_floor: f32::MIN, matrix: &self.matrix, epilogue, out: out_rows };
        matmul(graph, &format!("{name}.conv"), &product);
        out
    }
}

/// conv1, bn1, relu, conv2, bn2, relu, conv3; the names carry a suffix from the second level on.
async fn load_squeeze(loader: &mut Loader<'_>, level: usize, features: u32, channels: u32) -> Result<Vec<Conv2d>> {
    let suffix = ["", "_1", "_2"][level];
    let name = |part: &str| format!("adaptor.Descriptor.{part}{suffix}");
    let [norm1, norm2] = ["bn1", "bn2"].map(name);
    let [norm1, norm2] = [&norm1, &norm2].map(|name| Norm { name, epsilon: EPSILON });
    Ok(vec![
        loader.conv1x1_folded(&name("conv1"), norm1, [channels, features]).await?,
        loader.conv1x1_folded(&name("conv2"), norm2, [channels, channels]).await?,
        loader.conv1x1(&name("conv3"), [channels, channels]).await?,
    ])
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
