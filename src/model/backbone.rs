//! The frozen feature extractor.

use super::efficientnet::EfficientNet;
use super::loader::Loader;
use super::resnet::ResNet;
use crate::config::{BackboneConfig, LEVELS};
use crate::gpu::{Graph, Tensor};
use crate::{ModelConfig, Result};

pub(crate) enum Backbone {
    ResNet(ResNet),
    EfficientNet(EfficientNet),
}

impl Backbone {
    pub(crate) async fn load(loader: &mut Loader<'_>, config: &ModelConfig) -> Result<Self> {
        Ok(match &config.backbone {
            BackboneConfig::Basic(resnet) => Self::ResNet(ResNet::basic(loader, resnet, config.input).await?),
            BackboneConfig::Bottleneck(resnet) => Self::ResNet(ResNet::bottleneck(loader, resnet, config.input).await?),
            BackboneConfig::Inverted(network) => {
                Self::EfficientNet(EfficientNet::load(loader, network, config.input).await?)
            }
        })
    }

    /// The features of the three levels.
    pub(crate) fn write(&self, graph: &mut Graph<'_>, input: Tensor) -> [Tensor; LEVELS] {
        match self {
            Self::ResNet(resnet) => resnet.write(graph, input),
            Self::EfficientNet(network) => network.write(graph, input),
        }
    }
}
