//! The network, piece by piece in reading order: image -> backbone -> descriptor -> prototypes -> decoder -> anomaly
//! map. Each piece declares its parameters when it is made, and can write itself into a graph.

mod anomaly_map;
mod backbone;
mod decoder;
mod descriptor;
mod efficientnet;
mod prototypes;
mod resnet;
pub mod schema;
mod taught;

use crate::ModelConfig;
use crate::config::{HeadConfig, TrainedHead};
use crate::gpu::{Graph, Slice, Tensor};
use crate::parameters::Parameters;

use anomaly_map::AnomalyMap;
pub(crate) use backbone::Backbone;
pub(crate) use decoder::{BinConvolutions, DecoderConvolutions};
pub(crate) use descriptor::{Descriptors, coord_conv, squeeze};
pub(crate) use prototypes::{Prototypes, centered_norms};
pub(crate) use taught::{Join, Taught};

/// The part of a model that is made for a category.
pub(crate) enum Head {
    Trained(Box<Trained>),
    Taught(Taught),
}

/// PCSNet's own head: descriptor, prototypes and decoder.
pub(crate) struct Trained {
    descriptor: descriptor::Descriptor,
    prototypes: prototypes::Prototypes,
    decoder: decoder::Decoder,
    anomaly_map: AnomalyMap,
}

/// What the network gives for a batch of images.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    /// `[batch][input][input]`.
    pub blurred: Tensor,
    /// `[batch]`.
    pub score: Tensor,
}

impl Head {
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig) -> Self {
        match &config.head {
            HeadConfig::Trained(head) => Self::Trained(Box::new(Trained::new(parameters, config, head))),
            HeadConfig::Taught(head) => Self::Taught(Taught::new(parameters, config, head)),
        }
    }

    /// Writes everything behind the backbone into a graph; `features` has at least the levels that the head reads.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, features: &[Tensor]) -> Outputs {
        match self {
            Self::Trained(head) => head.write(graph, features),
            Self::Taught(head) => head.write(graph, features),
        }
    }
}

impl Trained {
    fn new(parameters: &mut Parameters<'_>, config: &ModelConfig, head: &TrainedHead) -> Self {
        Self {
            descriptor: descriptor::Descriptor::new(parameters, config, head.descriptor),
            prototypes: prototypes::Prototypes::new(parameters, config, head),
            decoder: decoder::Decoder::new(parameters, config.grid, head),
            anomaly_map: AnomalyMap::of_logits(parameters, config),
        }
    }

    fn write(&self, graph: &mut Graph<'_>, features: &[Tensor]) -> Outputs {
        let descriptor = self.descriptor.write(graph, features);
        graph.stage("descriptor", descriptor.whole.all());
        let score = self.prototypes.write(graph, &descriptor);
        graph.stage("score", score.all());
        let logits = self.decoder.write(graph, descriptor.whole, score);
        graph.stage("cas_logits64", logits.all());
        self.anomaly_map.write(graph, logits)
    }
}

/// Channels last to channels first: the values of `slice` as PyTorch would hold them, `[batch][channels][height *
/// width]`.
pub(crate) fn to_nchw(values: &[f32], slice: &Slice) -> Vec<f32> {
    let pixels = (slice.tensor.height * slice.tensor.width) as usize;
    let (stride, first, channels) = (slice.stride() as usize, slice.first as usize, slice.channels as usize);
    let images = values.chunks_exact(pixels * stride);
    images
        .flat_map(|image| (0..channels).flat_map(move |c| (0..pixels).map(move |p| image[p * stride + first + c])))
        .collect()
}
