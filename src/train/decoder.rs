//! The CAS decoder forwards and, in reverse reading order, backwards.

use super::memory::{Conv, Group, Layout, Memory, Place};
use crate::config::TrainedHead;
use crate::gpu::{Graph, Slice, Tensor};
use crate::model::{BinConvolutions, DecoderConvolutions};
use crate::ops::{
    Epilogue, Gradient, Relu, Residual, adaptive_pool, project_by, project_gradients, relu_gradient, resize,
    resize_gradient, resize_sum, resize_through, scale_channels,
};

pub(super) struct Decoder {
    bins: Vec<Bin>,
    res2: [Conv; 2],
    cls: Conv,
    projection: Place,
    grid: u32,
    guide: u32,
    width: u32,
}

struct Bin {
    side: u32,
    width: u32,
    corr: Conv,
    alpha: Option<Conv>,
    beta: [Conv; 2],
    /// This bin's share of `res1`.
    res1: Conv,
}

/// What the way back needs of the way there.
pub(super) struct Passed {
    bins: Vec<PassedBin>,
    res1: Tensor,
    res2: PassedPair,
    cls: Tensor,
    dropped: Tensor,
    dropout: Option<Tensor>,
    /// `[batch][grid][grid]`.
    pub logits: Tensor,
}

struct PassedBin {
    pooled: Tensor,
    /// corr's output and the previous bin's side by side.
    joined: Option<Tensor>,
    mixed: Tensor,
    beta: PassedPair,
}

/// `relu(conv2(relu(conv1(x)))) + x`.
struct PassedPair {
    x: Tensor,
    hidden: Tensor,
    out: Tensor,
}

impl Decoder {
    pub(super) fn new(memory: &mut Memory, graph: &mut Graph<'_>, head: &TrainedHead, grid: u32) -> Self {
        let DecoderConvolutions { bins, res1, res2, cls, projection } = DecoderConvolutions::new(head, grid);
        let width = head.width;
        let mut conv = |layout| memory.conv(graph, layout, Group::Cas);
        let bin = |((first, &side), parts): ((u32, &u32), &BinConvolutions)| {
            let corr = conv(Layout::whole(&parts.corr));
            let alpha = parts.alpha.as_ref().map(|alpha| conv(Layout::whole(alpha)));
            let beta = parts.beta.each_ref().map(|beta| conv(Layout::whole(beta)));
            let share = Layout::Convolution { of: res1.clone(), first, inputs: width };
            Bin { side, width, corr, alpha, beta, res1: conv(share) }
        };
        let bins = (0..).step_by(width as usize).zip(&head.bins).zip(&bins).map(bin).collect();
        let res2 = res2.each_ref().map(|conv2| conv(Layout::whole(conv2)));
        let cls = conv(Layout::whole(&cls));
        let projection = memory.declare(graph, Layout::Projection(projection), Group::Cas);
        Self { bins, res2, cls, projection, grid, guide: head.guide, width }
    }

    /// Appends the way from descriptors and nearest distances to logits. `dropout` are the factors of the last hidden
    /// channels, `[batch][1][1][width]`.
    pub(super) fn write(
        &self,
        graph: &mut Graph<'_>,
        descriptor: Tensor,
        score: Tensor,
        dropout: Option<Tensor>,
    ) -> Passed {
        let batch = descriptor.batch;
        let pixels = self.bins.iter().map(|bin| batch * bin.side * bin.side).sum();
        let shares = graph.tensor("decoder.res1.shares", [1, pixels, 1, self.width]);
        let mut first_pixel = 0;
        let mut bins: Vec<PassedBin> = Vec::with_capacity(self.bins.len());
        for bin in &self.bins {
            let label = bin.label();
            let shape = [batch, bin.side, bin.side, self.guide + score.channels];
            let pooled = graph.tensor(&format!("{label}.pooled"), shape);
            adaptive_pool(graph, &format!("{label}.guide"), descriptor, pooled.channel_range(0, self.guide));
            let part = pooled.channel_range(self.guide, score.channels);
            resize(graph, &format!("{label}.score"), score, part, true);
            let previous = bins.last().map(|bin| bin.beta.out);
            let passed = bin.write(graph, pooled, previous, self.grid);
            let share = shares.row_range(first_pixel, passed.beta.out.pixels());
            bin.res1.write(graph, &format!("{label}.res1"), passed.beta.out, share, Epilogue::NONE);
            first_pixel += share.rows;
            bins.push(passed);
        }
        let sides: Vec<u32> = self.bins.iter().map(|bin| bin.side).collect();
        let res1 = resize_sum(graph, "decoder.res1", shares, &sides, batch, self.grid);
        let res2 = PassedPair::write(graph, "decoder.res2", res1, &self.res2);
        let cls = same_size(graph, "decoder.cls", res2.out);
        self.cls.write(graph, "decoder.cls", res2.out, cls.all(), Epilogue::RELU);
        let dropped = dropout.map_or(cls, |factors| scale_channels(graph, "decoder.dropout", cls, factors));
        let logits = project_by(graph, "decoder.projection", dropped, self.projection.values);
        Passed { bins, res1, res2, cls, dropped, dropout, logits }
    }

    /// Appends the way back from the gradient of the logits. Gives, for each bin, the gradient of guide and score at
    /// its resolution.
    pub(super) fn write_back(
        &self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        passed: &Passed,
        d_logits: Tensor,
    ) -> Vec<Tensor> {
        let label = "decoder.projection.gradient";
        let (d_dropped, d_projection) =
            project_gradients(graph, label, passed.dropped, self.projection.values, d_logits);
        memory.set_gradient(self.projection, d_projection);
        let d_cls = match passed.dropout {
            Some(factors) => scale_channels(graph, "decoder.dropout.gradient", d_dropped, factors),
            None => d_dropped,
        };
        let d_cls = relu_of(graph, "decoder.cls.relu", passed.cls, d_cls);
        self.cls.learn(memory, graph, "decoder.cls", passed.res2.out, d_cls);
        let d_fused = self.cls.input_gradient(graph, "decoder.cls", d_cls, Epilogue::NONE);
        let d_res1 = passed.res2.write_back(memory, graph, "decoder.res2", &self.res2, d_fused);
        let d_res1 = relu_of(graph, "decoder.res1.relu", passed.res1, d_res1);
        // The gradient that a bin's output has from the next one.
        let mut handed_up: Option<Tensor> = None;
        let mut d_pooled = Vec::with_capacity(self.bins.len());
        for (index, (bin, passed_bin)) in self.bins.iter().zip(&passed.bins).enumerate().rev() {
            let label = bin.label();
            let out = passed_bin.beta.out;
            let d_share = same_size(graph, &format!("{label}.res1.gradient"), out);
            resize_gradient(graph, &format!("{label}.res1.gradient"), d_res1.all(), d_share, true, Gradient::New);
            bin.res1.learn(memory, graph, &format!("{label}.res1"), out, d_share);
            let epilogue = handed_up.map_or(Epilogue::NONE, |more| Epilogue::NONE.with(Residual::Before(more.all())));
            let d_out = bin.res1.input_gradient(graph, &format!("{label}.res1"), d_share, epilogue);
            let (d_input, d_previous) = bin.write_back(memory, graph, passed_bin, d_out);
            handed_up = d_previous.map(|dy| {
                let previous = passed.bins[index - 1].beta.out;
                through_gradient(graph, &format!("{label}.previous"), dy, self.grid, previous)
            });
            d_pooled.push(d_input);
        }
        d_pooled.reverse();
        d_pooled
    }
}

impl Bin {
    fn label(&self) -> String {
        format!("decoder.bin{}", self.side)
    }

    fn write(&self, graph: &mut Graph<'_>, pooled: Tensor, previous: Option<Tensor>, grid: u32) -> PassedBin {
        let label = self.label();
        let width = self.width;
        let shape = |channels| [pooled.batch, self.side, self.side, channels];
        let mixed = graph.tensor(&format!("{label}.mixed"), shape(width));
        let joined = match (previous, self.alpha) {
            (Some(previous), Some(alpha)) => {
                let joined = graph.tensor(&format!("{label}.joined"), shape(2 * width));
                let corr = joined.channel_range(0, width);
                self.corr.write(graph, &format!("{label}.corr"), pooled, corr, Epilogue::RELU);
                let handed_down = joined.channel_range(width, width);
                resize_through(graph, &format!("{label}.previous"), previous, grid, handed_down);
                let epilogue = Epilogue::RELU.with(Residual::After(corr));
                alpha.write(graph, &format!("{label}.alpha"), joined, mixed.all(), epilogue);
                Some(joined)
            }
            _ => {
                self.corr.write(graph, &format!("{label}.corr"), pooled, mixed.all(), Epilogue::RELU);
                None
            }
        };
        let beta = PassedPair::write(graph, &format!("{label}.beta"), mixed, &self.beta);
        PassedBin { pooled, joined, mixed, beta }
    }

    /// The gradients of what was pooled and, where there is a bin before, of what it handed down.
    fn write_back(
        &self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        passed: &PassedBin,
        d_out: Tensor,
    ) -> (Tensor, Option<Slice>) {
        let label = self.label();
        let width = self.width;
        let PassedBin { pooled, joined, mixed, beta } = passed;
        let d_mixed = beta.write_back(memory, graph, &format!("{label}.beta"), &self.beta, d_out);
        let (d_corr, handed_down) = match (joined, self.alpha) {
            (&Some(joined), Some(alpha)) => {
                let name = format!("{label}.alpha");
                let corr = joined.channel_range(0, width);
                let relu = Relu { output: mixed.all(), base: Some(corr) };
                let d_alpha = relu_gradient(graph, &format!("{name}.relu"), relu, d_mixed.all(), None);
                alpha.learn(memory, graph, &name, joined, d_alpha);
                let d_joined = alpha.input_gradient(graph, &name, d_alpha, Epilogue::NONE);
                let dy = d_joined.channel_range(0, width);
                let relu = Relu { output: corr, base: None };
                let d_corr = relu_gradient(graph, &format!("{label}.corr.relu"), relu, dy, Some(d_mixed));
                (d_corr, Some(d_joined.channel_range(width, width)))
            }
            _ => (relu_of(graph, &format!("{label}.corr.relu"), *mixed, d_mixed), None),
        };
        self.corr.learn(memory, graph, &format!("{label}.corr"), *pooled, d_corr);
        (self.corr.input_gradient(graph, &format!("{label}.corr"), d_corr, Epilogue::NONE), handed_down)
    }
}

impl PassedPair {
    fn write(graph: &mut Graph<'_>, label: &str, x: Tensor, [first, second]: &[Conv; 2]) -> Self {
        let hidden = same_size(graph, &format!("{label}.hidden"), x);
        first.write(graph, &format!("{label}1"), x, hidden.all(), Epilogue::RELU);
        let out = same_size(graph, label, x);
        second.write(graph, &format!("{label}2"), hidden, out.all(), Epilogue::RELU.with(Residual::After(x.all())));
        Self { x, hidden, out }
    }

    /// The gradient of `x`.
    fn write_back(
        &self,
        memory: &mut Memory,
        graph: &mut Graph<'_>,
        label: &str,
        [first, second]: &[Conv; 2],
        d_out: Tensor,
    ) -> Tensor {
        let Self { x, hidden, out } = *self;
        let names = ["1", "2"].map(|part| format!("{label}{part}"));
        let relu = Relu { output: out.all(), base: Some(x.all()) };
        let d_second = relu_gradient(graph, &format!("{}.relu", names[1]), relu, d_out.all(), None);
        second.learn(memory, graph, &names[1], hidden, d_second);
        let d_hidden = second.input_gradient(graph, &names[1], d_second, Epilogue::NONE);
        let d_first = relu_of(graph, &format!("{}.relu", names[0]), hidden, d_hidden);
        first.learn(memory, graph, &names[0], x, d_first);
        first.input_gradient(graph, &names[0], d_first, Epilogue::NONE.with(Residual::Before(d_out.all())))
    }
}

/// The gradient of a relu's input, where nothing was added to its output.
fn relu_of(graph: &mut Graph<'_>, label: &str, output: Tensor, dy: Tensor) -> Tensor {
    relu_gradient(graph, label, Relu { output: output.all(), base: None }, dy.all(), None)
}

/// The gradient of `x`, which [`resize_through`] resized by way of `through` x `through`.
fn through_gradient(graph: &mut Graph<'_>, label: &str, dy: Slice, through: u32, x: Tensor) -> Tensor {
    let between = graph.tensor(&format!("{label}.through"), [x.batch, through, through, x.channels]);
    resize_gradient(graph, &format!("{label}.down.gradient"), dy, between, true, Gradient::New);
    let out = same_size(graph, &format!("{label}.gradient"), x);
    resize_gradient(graph, &format!("{label}.up.gradient"), between.all(), out, true, Gradient::New);
    out
}

/// A tensor of the same sizes.
fn same_size(graph: &mut Graph<'_>, label: &str, x: Tensor) -> Tensor {
    graph.tensor(label, x.shape())
}
