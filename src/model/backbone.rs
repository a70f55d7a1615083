//! The frozen feature extractor.

use super::efficientnet::EfficientNet;
use super::resnet::ResNet;
use crate::ModelConfig;
use crate::config::BackboneConfig;
use crate::gpu::{Graph, Tensor};
use crate::parameters::Parameters;

/// A backbone as deep as its heads need it.
pub(crate) struct Backbone {
    network: Network,
    depth: usize,
}

enum Network {
    ResNet(ResNet),
    EfficientNet(EfficientNet),
}

impl Backbone {
    /// The levels up to the deepest that the model reads.
    pub(crate) fn new(parameters: &mut Parameters<'_>, config: &ModelConfig) -> Self {
        let (input, depth) = (config.input, config.depth());
        let network = match &config.backbone {
            BackboneConfig::Basic(resnet) => Network::ResNet(ResNet::basic(parameters, resnet, input, depth)),
            BackboneConfig::Bottleneck(resnet) => Network::ResNet(ResNet::bottleneck(parameters, resnet, input, depth)),
            BackboneConfig::Inverted(network) => Network::EfficientNet(EfficientNet::new(parameters, network, depth)),
        };
        Self { network, depth }
    }

    /// How many levels it has.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The features of the first `depth` levels, named as stages of the graph.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor, depth: usize) -> Vec<Tensor> {
        let features = match &self.network {
            Network::ResNet(resnet) => resnet.write(graph, input, depth),
            Network::EfficientNet(network) => network.write(graph, input, depth),
        };
        for (number, feature) in (1..).zip(&features) {
            graph.stage(&format!("feature{number}"), feature.all());
        }
        features
    }
}
