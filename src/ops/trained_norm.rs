//! BatchNorm in training: statistics of the batch itself, `torch.nn.BatchNorm2d` with its defaults, followed by a relu.

use super::groups_of_64;
use super::pointwise::{Relu, relu_gradient};
use crate::config::PYTORCH_EPSILON;
use crate::gpu::{Binding, Graph, Kernel, Tensor, uniforms};

uniforms! {
    /// Of the kernels with an invocation for 4 channels of a pixel.
    struct Pixels {
        rows: u32,
        width: u32,
        channels: u32,
    }
}

impl Pixels {
    fn of(x: Tensor, groups: u32) -> Self {
        Self { rows: x.batch / groups * x.height, width: x.width, channels: x.channels / 4 }
    }

    /// Workgroups for all groups' pixels.
    fn workgroups(&self, groups: u32) -> [u32; 3] {
        [groups_of_64(self.width * self.channels), groups * self.rows, 1]
    }
}

/// How much a batch's statistics count in the running ones.
const MOMENTUM: f32 = 0.1;

/// A BatchNorm's numbers in memory, one of each per channel.
#[derive(Clone, Copy)]
pub(crate) struct TrainedNorm {
    pub scale: Tensor,
    pub shift: Tensor,
    /// The running mean.
    pub mean: Tensor,
    /// The running variance.
    pub variance: Tensor,
}

/// What came through a BatchNorm and its relu.
#[derive(Clone, Copy)]
pub(crate) struct Normed {
    input: Tensor,
    /// Mean and reciprocal deviation, `[groups][2][1][channels]`.
    statistics: Tensor,
    pub output: Tensor,
}

/// The gradients of a BatchNorm.
#[derive(Clone, Copy)]
pub(crate) struct NormGradients {
    pub input: Tensor,
    /// Those of each group, `[groups][1][1][channels]`.
    pub scale: Tensor,
    /// As `scale`.
    pub shift: Tensor,
}

impl TrainedNorm {
    /// `relu(batch_norm(x))`, where the batch is `groups` batches of PyTorch's, one behind the other. Their statistics
    /// join the running ones in this order.
    pub(crate) fn write(self, graph: &mut Graph<'_>, label: &str, x: Tensor, groups: u32) -> Normed {
        uniforms! {
            struct Statistics {
                groups: u32,
                pixels: u32,
                channels: u32,
                momentum: f32,
                epsilon: f32,
            }
        }
        let Self { scale, shift, mean, variance } = self;
        graph.ensure_equal(label, [scale, shift, mean, variance].map(|tensor| tensor.channels), [x.channels; 4]);
        graph.ensure_equal(label, x.batch % groups, 0);
        let statistics = graph.tensor(&format!("{label}.statistics"), [groups, 2, 1, x.channels]);
        let channels = x.channels / 4;
        let (pixels, epsilon) = (x.pixels() / groups, PYTORCH_EPSILON as f32);
        let params = Statistics { groups, pixels, channels, momentum: MOMENTUM, epsilon };
        let bindings = [Binding::read(x), Binding::write(statistics), Binding::update(mean), Binding::update(variance)];
        let kernel = Kernel::new("batch_norm_statistics");
        graph.dispatch(&format!("{label}.statistics"), kernel, &params, bindings, [channels, 1, 1]);

        let output = graph.tensor(label, x.shape());
        let pixels = Pixels::of(x, groups);
        let read = [x, statistics, scale, shift].map(Binding::read);
        let bindings = [&read[..], &[Binding::write(output)]].concat();
        graph.dispatch(label, Kernel::new("batch_norm"), &pixels, bindings, pixels.workgroups(groups));
        Normed { input: x, statistics, output }
    }

    /// The gradients from that of the relu's output.
    pub(crate) fn gradients(
        self,
        graph: &mut Graph<'_>,
        label: &str,
        passed: Normed,
        d_output: Tensor,
    ) -> NormGradients {
        uniforms! {
            struct Sums {
                pixels: u32,
                channels: u32,
            }
        }
        let Normed { input: x, statistics, output } = passed;
        let relu = Relu { output: output.all(), base: None };
        let dy = relu_gradient(graph, &format!("{label}.relu"), relu, d_output.all(), None);
        let (groups, channels) = (statistics.batch, x.channels / 4);
        let mut sums = |what: &str| graph.tensor(&format!("{label}.{what}"), [groups, 1, 1, x.channels]);
        let (scale, shift) = (sums("scale"), sums("shift"));
        let params = Sums { pixels: x.pixels() / groups, channels };
        let read = [x, dy, statistics].map(Binding::read);
        let bindings = [&read[..], &[scale, shift].map(Binding::write)].concat();
        let kernel = Kernel::new("batch_norm_sums");
        graph.dispatch(&format!("{label}.sums"), kernel, &params, bindings, [channels, groups, 1]);

        let input = graph.tensor(label, x.shape());
        let pixels = Pixels::of(x, groups);
        let read = [x, dy, statistics, self.scale, scale, shift].map(Binding::read);
        let bindings = [&read[..], &[Binding::write(input)]].concat();
        graph.dispatch(label, Kernel::new("batch_norm_gradient"), &pixels, bindings, pixels.workgroups(groups));
        NormGradients { input, scale, shift }
    }
}
