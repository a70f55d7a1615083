//! The network, piece by piece in reading order: image -> backbone -> descriptor -> prototypes -> decoder -> anomaly
//! map. Each piece holds its constants on the GPU and can write itself into a graph.

mod anomaly_map;
mod backbone;
mod decoder;
mod descriptor;
mod efficientnet;
mod loader;
mod prototypes;
mod resnet;

use crate::config::LEVELS;
use crate::gpu::{Graph, Slice, Tensor};
use crate::{ModelConfig, Result};

use anomaly_map::AnomalyMap;
pub(crate) use backbone::Backbone;
pub(crate) use loader::{Loaded, Loader};

/// The part of a model that is trained for a category: descriptor, prototypes and decoder.
pub(crate) struct Head {
    descriptor: descriptor::Descriptor,
    prototypes: prototypes::Prototypes,
    decoder: decoder::Decoder,
    anomaly_map: AnomalyMap,
}

/// What the network gives for a batch of images.
#[derive(Clone, Copy)]
pub(crate) struct Outputs {
    /// `[batch][input][input]`, before blurring.
    pub map: Tensor,
    /// `[batch][input][input]`.
    pub blurred: Tensor,
    /// `[batch]`.
    pub score: Tensor,
}

impl Head {
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self> {
        Ok(Self {
            descriptor: descriptor::Descriptor::load(loader, config).await?,
            prototypes: prototypes::Prototypes::load(loader, config).await?,
            decoder: decoder::Decoder::load(loader, config).await?,
            anomaly_map: AnomalyMap::load(loader, config).await?,
        })
    }
}

/// Writes the backbone into a graph. `input` is normalised, `[batch][side][side][4]`.
pub(crate) fn write_backbone(graph: &mut Graph<'_>, backbone: &Backbone, input: Tensor) -> [Tensor; LEVELS] {
    let features = backbone.write(graph, input);
    for (name, feature) in ["feature1", "feature2", "feature3"].into_iter().zip(features) {
        graph.stage(name, feature.all());
    }
    features
}

/// Writes everything behind the backbone into a graph.
pub(crate) fn write_head(graph: &mut Graph<'_>, head: &Head, features: [Tensor; LEVELS]) -> Outputs {
    let descriptor = head.descriptor.write(graph, features);
    graph.stage("descriptor", descriptor.whole.all());
    let score = head.prototypes.write(graph, &descriptor);
    graph.stage("score", score.all());
    let logits = head.decoder.write(graph, descriptor.whole, score);
    graph.stage("cas_logits64", logits.all());
    let outputs = head.anomaly_map.write(graph, logits);
    graph.stage("map", outputs.map.all());
    graph.stage("blurred", outputs.blurred.all());
    outputs
}

/// Channels last to channels first: the values of `slice` as PyTorch would hold them, `[batch][channels][height * width]`.
pub(crate) fn to_nchw(values: &[f32], slice: &Slice) -> Vec<f32> {
    let pixels = (slice.tensor.height * slice.tensor.width) as usize;
    let (stride, first, channels) = (slice.stride() as usize, slice.first as usize, slice.channels as usize);
    let images = values.chunks_exact(pixels * stride);
    images
        .flat_map(|image| (0..channels).flat_map(move |c| (0..pixels).map(move |p| image[p * stride + first + c])))
        .collect()
}
