//! The context-aware segmentation (CAS) decoder (NETWORK: CAS).

use crate::config::TrainedHead;
use crate::gpu::{Format, Graph, Slice, Tensor};
use crate::ops::{
    Conv2d, Convolution, Epilogue, Geometry, Matrix, Product, Projection, Residual, adaptive_pool, matmul, project,
    resize, resize_sum, resize_through, taps_inputs_outputs,
};
use crate::parameters::{Parameters, Part};

/// The decoder's convolutions, as the network declares them.
pub(crate) struct DecoderConvolutions {
    pub bins: Vec<BinConvolutions>,
    /// Of all bins' outputs, one behind the other.
    pub res1: Convolution,
    pub res2: [Convolution; 2],
    pub cls: Convolution,
    pub projection: Convolution,
}

/// The convolutions of one pooling size.
pub(crate) struct BinConvolutions {
    pub corr: Convolution,
    /// Joins the previous bin's output; the first bin has none.
    pub alpha: Option<Convolution>,
    pub beta: [Convolution; 2],
}

impl DecoderConvolutions {
    pub(crate) fn new(head: &TrainedHead, grid: u32) -> Self {
        let width = head.width;
        let pointwise = |name: String, inputs| Convolution::new(name, [width, inputs], Geometry::POINTWISE);
        let bin = |(index, &side): (usize, &u32)| BinConvolutions {
            corr: pointwise(format!("cas.corr_conv.{index}.0"), head.guide + head.nearest),
            alpha: index.checked_sub(1).map(|before| pointwise(format!("cas.alpha_conv.{before}.0"), 2 * width)),
            beta: pair(&format!("cas.beta_conv.{index}"), width, side),
        };
        Self {
            bins: head.bins.iter().enumerate().map(bin).collect(),
            res1: pointwise("cas.res1.0".to_owned(), head.bins.len() as u32 * width),
            res2: pair("cas.res2", width, grid),
            cls: square("cas.cls.0", width, grid).in_f32(),
            projection: Convolution::new("cas.cls.3", [1, width], Geometry::POINTWISE).biased(),
        }
    }
}

pub(crate) struct Decoder {
    bins: Vec<Bin>,
    res2: [Conv2d; 2],
    cls: Conv2d,
    cls_projection: Projection,
    grid: u32,
    guide: u32,
    width: u32,
}

/// One pooling size of the decoder.
struct Bin {
    side: u32,
    corr: Conv2d,
    alpha: Option<Conv2d>,
    beta: [Conv2d; 2],
    /// This bin's input channels of `res1`. A 1 x 1 convolution commutes with a resize, so each bin's share is computed
    /// at its own resolution.
    res1: Matrix,
}

impl Decoder {
    pub(crate) fn new(parameters: &mut Parameters<'_>, grid: u32, head: &TrainedHead) -> Self {
        let width = head.width;
        let DecoderConvolutions { bins, res1, res2, cls, projection } = DecoderConvolutions::new(head, grid);
        let mut shares = Vec::with_capacity(bins.len());
        let bin = |(index, (bin, &side)): (usize, (BinConvolutions, &u32))| {
            let label = format!("cas.res1.0.weight.bin{index}");
            let share = parameters.matrix(label, [1, width, width], parameters.format());
            shares.push(share.clone());
            Bin::new(parameters, bin, side, Matrix::of(share))
        };
        let bins = bins.into_iter().zip(&head.bins).enumerate().map(bin).collect();
        let inputs = res1.inputs;
        parameters.declare(res1.parameters(), move |values| {
            // A bin's input channels are neighbouring rows.
            let rows = taps_inputs_outputs(&values.concat(), [width, inputs, 1], inputs);
            let rows_of = move |bin: usize| rows.chunks_exact((width * width) as usize).nth(bin).map(<[f32]>::to_vec);
            let parts = shares.into_iter().enumerate();
            Ok(Box::new(parts.filter_map(move |(bin, share)| Some(Part::whole(share, rows_of(bin)?)))))
        });
        Self {
            bins,
            res2: res2.map(|conv| Conv2d::new(parameters, conv)),
            cls: Conv2d::new(parameters, cls),
            cls_projection: Projection::new(parameters, &projection),
            grid,
            guide: head.guide,
            width,
        }
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
            // The first bin is nearly all of the decoder's memory and least of its rounding: what is rounded in a
            // coarser one spreads over many positions of the grid.
            let format = if index == 0 { graph.activations() } else { Format::F32 };
            let input = self.pooled(graph, &label, descriptor, score, bin.side, format);
            let out = bin.write(graph, &label, input, previous, self.grid);
            graph.stage(&format!("cas_bin{index}"), out.all());
            let share = shares.row_range(first_pixel, out.pixels());
            matmul(graph, &format!("{label}.res1"), &Product::new(out.all(), &bin.res1, share));
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
        let cls = self.cls.write(graph, "decoder.cls.0", fused, Epilogue::RELU);
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
    fn new(parameters: &mut Parameters<'_>, bin: BinConvolutions, side: u32, res1: Matrix) -> Self {
        let mut conv = |convolution| Conv2d::new(parameters, convolution);
        Self { side, corr: conv(bin.corr), alpha: bin.alpha.map(&mut conv), beta: bin.beta.map(conv), res1 }
    }

    fn write(&self, graph: &mut Graph<'_>, label: &str, input: Tensor, previous: Option<Tensor>, grid: u32) -> Tensor {
        let width = self.corr.outputs();
        let corr_label = format!("{label}.corr");
        let mixed = match (previous, &self.alpha) {
            (Some(previous), Some(alpha)) => {
                // alpha reads corr's output and the previous bin's side by side.
                let joined = graph.tensor(&format!("{label}.joined"), [input.batch, self.side, self.side, 2 * width]);
                let corr = joined.channel_range(0, width);
                product(graph, &corr_label, input, &self.corr, corr, Epilogue::RELU);
                let handed_down = joined.channel_range(width, width);
                resize_through(graph, &format!("{label}.previous"), previous, grid, handed_down);
                let mixed = graph.tensor(&format!("{label}.alpha"), [input.batch, self.side, self.side, width]);
                let epilogue = Epilogue::RELU.with(Residual::After(corr));
                product(graph, &format!("{label}.alpha"), joined, alpha, mixed.all(), epilogue);
                mixed
            }
            _ => self.corr.write(graph, &corr_label, input, Epilogue::RELU),
        };
        residual_pair(graph, &format!("{label}.beta"), mixed, &self.beta, mixed.format)
    }
}

/// A pointwise convolution into a part of a tensor.
fn product(graph: &mut Graph<'_>, label: &str, a: Tensor, conv: &Conv2d, out: Slice, epilogue: Epilogue<'_>) {
    matmul(graph, label, &Product { epilogue, ..Product::new(a.all(), conv.matrix(), out) });
}

/// A 3 x 3 convolution without bias, as many channels out as in, of images of `side` x `side`.
fn square(name: impl Into<String>, channels: u32, side: u32) -> Convolution {
    Convolution::new(name, [channels; 2], Geometry::SIDE_3).of_side(side)
}

/// Two 3 x 3 convolutions of a PyTorch `Sequential`, a relu behind each.
fn pair(name: &str, channels: u32, side: u32) -> [Convolution; 2] {
    ["0", "2"].map(|part| square(format!("{name}.{part}"), channels, side))
}

/// `relu(conv2(relu(conv1(x)))) + x` in the format of `x`; what is between the convolutions has one of its own.
fn residual_pair(
    graph: &mut Graph<'_>,
    label: &str,
    x: Tensor,
    [first, second]: &[Conv2d; 2],
    inside: Format,
) -> Tensor {
    let y = first.write(graph, &format!("{label}1"), x, Epilogue::RELU.stored(inside));
    let epilogue = Epilogue::RELU.with(Residual::After(x.all())).stored(x.format);
    second.write(graph, &format!("{label}2"), y, epilogue)
}
