//! The name and shape of every tensor a model needs, in the order the network reads them.
//!
//! Names are those of the PyTorch modules: torchvision's ResNets behind `backbone.`, and the classes of the authors'
//! code (Jiang, Cao, Shen, "Prototypical Learning Guided Context-Aware Segmentation Network for Few-Shot Anomaly
//! Detection", 2024) behind `adaptor.` and `cas.`. Convolutions are output x input x height x width.

use super::{Backbone, Head};
use crate::ModelConfig;
use crate::parameters::Parameters;
use crate::weights::Schema;
use crate::weights::names::{ADAPTOR, BACKBONE, CAS, TAUGHT};

/// What a backbone's names begin with.
pub(crate) const BACKBONE_PARTS: &[&str] = &[BACKBONE];
/// What a head's names begin with.
pub(crate) const HEAD_PARTS: &[&str] = &[ADAPTOR, CAS, TAUGHT];

/// The tensors of the backbone, up to the last layer that the model reads; other sizes of the head have no influence.
pub fn backbone(config: &ModelConfig) -> Schema {
    let mut parameters = Parameters::without_device();
    Backbone::new(&mut parameters, config);
    parameters.schema(BACKBONE_PARTS)
}

/// The tensors of one head: descriptor, prototypes and decoder.
pub fn head(config: &ModelConfig) -> Schema {
    let mut parameters = Parameters::without_device();
    Head::new(&mut parameters, config);
    parameters.schema(HEAD_PARTS)
}

/// The tensors of a whole model: [`backbone`], then [`head`].
pub fn model(config: &ModelConfig) -> Schema {
    backbone(config).and(head(config))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{BackboneConfig, DescriptorKind, HeadConfig, LayerConfig, ResNetConfig, TrainedHead};

    fn standard(backbone: BackboneConfig, descriptor: DescriptorKind) -> ModelConfig {
        ModelConfig::standard(backbone, descriptor)
    }

    /// Tensors and elements.
    fn totals(schema: &Schema) -> (usize, usize) {
        let elements = schema.tensors().iter().map(|tensor| tensor.shape.iter().product::<usize>());
        (schema.tensors().len(), elements.sum())
    }

    fn shape<'a>(schema: &'a Schema, name: &str) -> Option<&'a [usize]> {
        schema.tensors().iter().find(|tensor| tensor.name == name).map(|tensor| tensor.shape.as_slice())
    }

    /// The totals of the full-size PyTorch modules, to which the heads add `adaptor.C`.
    #[test]
    fn authors_models() {
        let plain = standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
        assert_eq!(totals(&backbone(&plain)), (215, 24_902_080));
        assert_eq!(totals(&head(&plain)), (6 + 21 + 1, 1_381_632 + 91_435_905 + 1792 * 4096));
        assert_eq!(totals(&model(&plain)).0, 243);
        let rotation = standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Rotation);
        assert_eq!(totals(&head(&rotation)), (39 + 21 + 1, 1_730_176 + 91_435_905 + 896 * 4096));
        assert_eq!(totals(&model(&rotation)).0, 276);
    }

    #[test]
    fn in_reading_order() {
        let config = standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Rotation);
        let schema = model(&config);
        let place = |name: &str| schema.tensors().iter().position(|tensor| tensor.name == name).expect(name);
        let order = [
            "backbone.conv1.weight",
            "backbone.bn1.running_var",
            "backbone.layer1.0.conv3.weight",
            "backbone.layer1.0.downsample.1.weight",
            "backbone.layer3.5.bn3.bias",
            "adaptor.Descriptor.conv1.weight",
            "adaptor.Descriptor.layer_1.conv.weight",
            "adaptor.Descriptor.conv1_1.weight",
            "adaptor.C",
            "cas.corr_conv.0.0.weight",
            "cas.corr_conv.1.0.weight",
            "cas.alpha_conv.0.0.weight",
            "cas.beta_conv.1.0.weight",
            "cas.cls.3.bias",
        ];
        assert!(order.map(place).is_sorted());
    }

    #[test]
    fn torchvision_resnet18() {
        let schema = backbone(&standard(BackboneConfig::resnet18(), DescriptorKind::Plain));
        // Stem 5, six blocks of 10, two downsamplings of 5; the elements were counted in torchvision's own weights.
        assert_eq!(totals(&schema), (75, 2_787_264));
        assert_eq!(shape(&schema, "backbone.layer1.0.downsample.0.weight"), None);
        assert_eq!(shape(&schema, "backbone.layer2.0.downsample.0.weight"), Some(&[128, 64, 1, 1][..]));
        assert_eq!(shape(&schema, "backbone.layer2.1.downsample.0.weight"), None);
        assert_eq!(shape(&schema, "backbone.layer3.0.conv1.weight"), Some(&[256, 128, 3, 3][..]));
        assert_eq!(shape(&schema, "backbone.layer1.0.conv3.weight"), None);
    }

    /// Names and shapes of timm's `tf_efficientnet_lite0`; 0.72 million weights up to the eleventh block.
    #[test]
    fn timm_efficientnet_lite0() {
        let schema = backbone(&standard(BackboneConfig::efficientnet_lite0(), DescriptorKind::Plain));
        assert_eq!(shape(&schema, "backbone.conv_stem.weight"), Some(&[32, 3, 3, 3][..]));
        assert_eq!(shape(&schema, "backbone.blocks.0.0.conv_dw.weight"), Some(&[32, 1, 3, 3][..]));
        assert_eq!(shape(&schema, "backbone.blocks.0.0.conv_pwl.weight"), None);
        assert_eq!(shape(&schema, "backbone.blocks.2.1.conv_dw.weight"), Some(&[240, 1, 5, 5][..]));
        assert_eq!(shape(&schema, "backbone.blocks.4.2.conv_pwl.weight"), Some(&[112, 672, 1, 1][..]));
        assert_eq!(shape(&schema, "backbone.blocks.5.0.conv_pw.weight"), None);
        let weights: usize = totals(&schema).1;
        assert!((700_000..760_000).contains(&weights), "{weights}");
    }

    #[test]
    fn small_sizes() {
        let layer = |blocks, width, channels| LayerConfig { blocks, width, channels };
        let layers = [layer(1, 4, 8), layer(2, 8, 16), layer(1, 12, 24)];
        let backbone = BackboneConfig::Bottleneck(ResNetConfig { stem: 8, layers });
        let config = ModelConfig {
            backbone,
            input: 32,
            light: None,
            grid: 8,
            head: HeadConfig::Trained(TrainedHead {
                descriptor: DescriptorKind::Rotation,
                prototypes: 20,
                nearest: 12,
                guide: 16,
                width: 28,
                bins: vec![7, 3, 1],
            }),
        };
        config.validate().expect("sizes that fit");
        let schema = model(&config);
        for (name, expected) in [
            ("backbone.conv1.weight", Some(&[8, 3, 7, 7][..])),
            // Layer 1 keeps the resolution, and here the stem's channels too.
            ("backbone.layer1.0.downsample.0.weight", None),
            ("backbone.layer2.0.conv2.weight", Some(&[8, 8, 3, 3])),
            ("backbone.layer2.0.downsample.0.weight", Some(&[16, 8, 1, 1])),
            ("backbone.layer3.0.bn3.running_mean", Some(&[24])),
            ("adaptor.Descriptor.conv1_2.weight", Some(&[12, 24, 1, 1])),
            ("adaptor.Descriptor.conv3_2.weight", Some(&[12, 12, 1, 1])),
            ("adaptor.Descriptor.bn3.weight", None),
            ("adaptor.Descriptor.layer_2.conv.weight", Some(&[8, 10, 1, 1])),
            ("adaptor.Descriptor.layer_2.conv.bias", Some(&[8])),
            ("adaptor.C", Some(&[24, 20])),
            ("cas.corr_conv.2.0.weight", Some(&[28, 28, 1, 1])),
            ("cas.alpha_conv.1.0.weight", Some(&[28, 56, 1, 1])),
            ("cas.alpha_conv.2.0.weight", None),
            ("cas.beta_conv.2.2.weight", Some(&[28, 28, 3, 3])),
            ("cas.beta_conv.3.0.weight", None),
            ("cas.res1.0.weight", Some(&[28, 84, 1, 1])),
            ("cas.cls.3.weight", Some(&[1, 28, 1, 1])),
        ] {
            assert_eq!(shape(&schema, name), expected, "{name}");
        }
    }

    #[test]
    fn parts_cover_their_names() {
        let config = standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        let covered = |schema: &Schema| ["backbone.x", "adaptor.x", "cas.x"].map(|name| schema.covers(name));
        assert_eq!(covered(&backbone(&config)), [true, false, false]);
        assert_eq!(covered(&head(&config)), [false, true, true]);
        assert_eq!(covered(&model(&config)), [true; 3]);
    }
}
