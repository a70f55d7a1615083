//! The context-aware segmentation (CAS) decoder (NETWORK: CAS).

use super::Loader;
use crate::gpu::{Format, Graph, Slice, Tensor};
use crate::ops::{
    Activation, Conv2d, Epilogue, Matrix, Product, Residual, adaptive_pool, conv2d, conv2d_as, matmul, project, resize,
    resize_sum, resize_through,
};
use crate::weights::layout;
use crate::{ModelConfig, Result};

pub(crate) struct Decoder {
    bins: Vec<Bin>,
    res2: [Conv2d; 2],
    cls: Conv2d,
    /// `cls.3`: one weight a channel, then the bias.
    cls_projection: wgpu::Buffer,
    grid: u32,
    guide: u32,
    width: u32,
}

/// One pooling size of the decoder.
struct Bin {
    side: u32,
    corr: Matrix,
    /// Joins the previous bin's output; the first bin has none.
    alpha: Option<Matrix>,
    beta: [Conv2d; 2],
    /// This bin's input channels of `res1`. A 1 x 1 convolution commutes with a resize, so each bin's share is computed
    /// at its own resolution.
    res1: Matrix,
}

const RELU: Epilogue<'static> = Epilogue { activation: Activation::RELU, ..Epilogue::NONE };

impl Decoder {
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self> {
        let width = config.width;
        let (channels, bin_count) = (width as usize, config.bins.len());
        let res1 = loader.weights.read("cas.res1.0.weight", &[channels, bin_count * channels, 1, 1])?;
        let mut bins = Vec::with_capacity(bin_count);
        for (index, &side) in config.bins.iter().enumerate() {
            let share = layout::some_inputs(&res1, bin_count * channels, index * channels..(index + 1) * channels);
            let res1 = loader.matrix(&format!("cas.res1.0.weight.bin{index}"), &share, [1, width, width]).await?;
            drop(share);
            bins.push(Bin::load(loader, config, index, side, res1).await?);
        }
        drop(res1);
        let mut projection = loader.weights.read("cas.cls.3.weight", &[1, channels, 1, 1])?;
        projection.extend(loader.weights.read("cas.cls.3.bias", &[1])?);
        projection.resize(channels + 4, 0.0);
        Ok(Self {
            bins,
            res2: [
                loader.conv3x3("cas.res2.0", width, config.grid).await?,
                loader.conv3x3("cas.res2.2", width, config.grid).await?,
            ],
            cls: loader.conv3x3_in_f32("cas.cls.0", width, config.grid).await?,
            cls_projection: loader.vector("cas.cls.3", &projection).await?,
            grid: config.grid,
            guide: config.guide,
            width,
        })
    }

    /// The logits on the grid, `[batch][grid][grid]`.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, descriptor: Tensor, score: Tensor) -> Tensor {
        let batch = descriptor.batch;
        let pixels: u32 = self.bins.iter().map(|bin| batch * bin.side * bin.side).sum();
        // The bins' shares of res1, one bin after another.
        let shares = graph.tensor("decoder.res1.shares", [1, pixels, 1, self.width]);
        let mut first_pixel = 0;
        let mut previous = None;
        for (index, bin) in self.bins.iter().enumerate() {
            let label = format!("decoder.bin{}", bin.side);
            // The first bin is nearly all of the decoder's memory and least of its rounding: what is rounded in a coarser
            // one spreads over many positions of the grid.
            let format = if index == 0 { graph.activations() } else { Format::F32 };
            let input = self.pooled(graph, &label, descriptor, score, bin.side, format);
            let out = bin.write(graph, &label, input, previous, self.grid);
            graph.stage(&format!("cas_bin{index}"), out.all());
            let share = shares.row_range(first_pixel, out.pixels());
            product(graph, &format!("{label}.res1"), out.all(), &bin.res1, share, Epilogue::NONE);
            first_pixel += out.pixels();
            previous = Some(out);
        }
        let sides: Vec<u32> = self.bins.iter().map(|bin| bin.side).collect();
        let res1 = resize_sum(graph, "decoder.res1", shares, &sides, batch, self.grid);
        graph.stage("cas_res1", res1.all());
        // What stands between res1 and here and what follows stays f32: rounding there reaches the map undiminished.
        let inside = graph.activations();
        let fused = residual_pair(graph, "decoder.res2", res1, &self.res2, inside);
        graph.stage("cas_final", fused.all());
        let cls = conv2d(graph, "decoder.cls.0", fused, f32::MIN, &self.cls, Activation::RELU, Residual::None);
        project(graph, "decoder.cls.3", cls, &self.cls_projection)
    }

    /// Guide and score at a bin's resolution, `[batch][side][side][guide + K]`.
    fn pooled(
        &self,
        graph: &mut Graph<'_>,
        label: &str,
        descriptor: Tensor,
        score: Tensor,
        side: u32,
        format: Format,
    ) -> Tensor {
        let shape = [descriptor.batch, side, side, self.guide + score.channels];
        let pooled = graph.tensor_as(format, &format!("{label}.pooled"), shape);
        adaptive_pool(graph, &format!("{label}.guide"), descriptor, pooled.channel_range(0, self.guide));
        let score_part = pooled.channel_range(self.guide, score.channels);
        resize(graph, &format!("{label}.score"), score, score_part, true);
        pooled
    }
}

impl Bin {
    async fn load(
        loader: &mut Loader<'_>,
        config: &ModelConfig,
        index: usize,
        side: u32,
        res1: Matrix,
    ) -> Result<Self> {
        let width = config.width;
        let corr_name = format!("cas.corr_conv.{index}.0");
        let corr = loader.conv1x1(&corr_name, [width, config.guide + config.nearest]).await?.matrix;
        let alpha = match index.checked_sub(1) {
            Some(before) => {
                let alpha_name = format!("cas.alpha_conv.{before}.0");
                Some(loader.conv1x1(&alpha_name, [width, 2 * width]).await?.matrix)
            }
            None => None,
        };
        let [first, second] = ["0", "2"].map(|part| format!("cas.beta_conv.{index}.{part}"));
        let beta = [loader.conv3x3(&first, width, side).await?, loader.conv3x3(&second, width, side).await?];
        Ok(Self { side, corr, alpha, beta, res1 })
    }

    fn write(&self, graph: &mut Graph<'_>, label: &str, input: Tensor, previous: Option<Tensor>, grid: u32) -> Tensor {
        let width = self.corr.columns;
        let shape = [input.batch, self.side, self.side, width];
        let corr_label = format!("{label}.corr");
        let mixed = match (previous, &self.alpha) {
            (Some(previous), Some(alpha)) => {
                // alpha reads corr's output and the previous bin's side by side.
                let joined = graph.tensor(&format!("{label}.joined"), [input.batch, self.side, self.side, 2 * width]);
                let corr = joined.channel_range(0, width);
                product(graph, &corr_label, input.all(), &self.corr, corr, RELU);
                let handed_down = joined.channel_range(width, width);
                resize_through(graph, &format!("{label}.previous"), previous, grid, handed_down);
                let mixed = graph.tensor(&format!("{label}.alpha"), shape);
                let epilogue = Epilogue { residual: Residual::After(corr), ..RELU };
                product(graph, &format!("{label}.alpha"), joined.all(), alpha, mixed.all(), epilogue);
                mixed
            }
            _ => {
                let corr = graph.tensor_as(input.format, &corr_label, shape);
                product(graph, &corr_label, input.all(), &self.corr, corr.all(), RELU);
                corr
            }
        };
        residual_pair(graph, &format!("{label}.beta"), mixed, &self.beta, mixed.format)
    }
}

fn product(graph: &mut Graph<'_>, label: &str, a: Slice, matrix: &Matrix, out: Slice, epilogue: Epilogue<'_>) {
    matmul(graph, label, &Product { a, input_floor: f32::MIN, matrix, epilogue, out });
}

/// `relu(conv2(relu(conv1(x)))) + x` in the format of `x`; what is between the convolutions has one of its own.
fn residual_pair(graph: &mut Graph<'_>, label: &str, x: Tensor, convs: &[Conv2d; 2], inside: Format) -> Tensor {
    let [first, second] = convs;
    let y = conv2d_as(inside, graph, &format!("{label}1"), x, first, Activation::RELU, Residual::None);
    conv2d_as(x.format, graph, &format!("{label}2"), y, second, Activation::RELU, Residual::After(x.all()))
}
