//! The name and shape of every tensor a model needs, in the order the network reads them.
//!
//! Names are those of the PyTorch modules: torchvision's ResNets behind `backbone.`, and the classes of the authors'
//! code (Jiang, Cao, Shen, "Prototypical Learning Guided Context-Aware Segmentation Network for Few-Shot Anomaly
//! Detection", 2024) behind `adaptor.` and `cas.`. Convolutions are output x input x height x width.

use super::names::{ADAPTOR, BACKBONE, CAS};
use crate::ModelConfig;
use crate::config::{BackboneConfig, DescriptorKind, EfficientNetConfig, LayerConfig, ResNetConfig};

/// A tensor the model needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Its full PyTorch name.
    pub name: String,
    /// Its shape, outermost dimension first.
    pub shape: Vec<usize>,
}

/// The tensors that make up some parts of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    parts: &'static [&'static str],
    tensors: Vec<TensorSpec>,
}

/// The tensors of the backbone, up to its third layer; the head's sizes have no influence.
pub fn backbone(config: &ModelConfig) -> Schema {
    let mut schema = Schema::of(&[BACKBONE]);
    schema.backbone(&config.backbone);
    schema
}

/// The tensors of one head: descriptor, prototypes and decoder.
pub fn head(config: &ModelConfig) -> Schema {
    let mut schema = Schema::of(&[ADAPTOR, CAS]);
    schema.adaptor(config);
    schema.decoder(config);
    schema
}

/// The tensors of a whole model: [`backbone`], then [`head`].
pub fn model(config: &ModelConfig) -> Schema {
    let mut schema = Schema::of(&[BACKBONE, ADAPTOR, CAS]);
    schema.tensors = [backbone(config).tensors, head(config).tensors].concat();
    schema
}

impl Schema {
    /// The tensors, in the order the network reads them.
    pub fn tensors(&self) -> &[TensorSpec] {
        &self.tensors
    }

    /// Whether a full name lies in the parts described here, so that it must be one of [`Schema::tensors`].
    pub fn covers(&self, name: &str) -> bool {
        self.parts.iter().any(|part| name.starts_with(part))
    }

    fn of(parts: &'static [&'static str]) -> Self {
        Self { parts, tensors: Vec::new() }
    }

    fn add(&mut self, name: String, shape: &[u32]) {
        self.tensors.push(TensorSpec { name, shape: shape.iter().map(|&size| size as usize).collect() });
    }

    /// A `kernel` x `kernel` convolution without bias.
    fn convolution(&mut self, name: &str, output: u32, input: u32, kernel: u32) {
        self.add(format!("{name}.weight"), &[output, input, kernel, kernel]);
    }

    fn batch_norm(&mut self, name: &str, channels: u32) {
        for field in ["weight", "bias", "running_mean", "running_var"] {
            self.add(format!("{name}.{field}"), &[channels]);
        }
    }

    fn backbone(&mut self, backbone: &BackboneConfig) {
        match backbone {
            BackboneConfig::Basic(resnet) => self.resnet(resnet, |input, LayerConfig { width, channels, .. }| {
                vec![(width, input, 3), (channels, width, 3)]
            }),
            BackboneConfig::Bottleneck(resnet) => self.resnet(resnet, |input, LayerConfig { width, channels, .. }| {
                vec![(width, input, 1), (width, width, 3), (channels, width, 1)]
            }),
            BackboneConfig::Inverted(network) => self.efficientnet(network),
        }
    }

    /// `convolutions` gives output channels, input channels and side of those in a block.
    fn resnet(&mut self, resnet: &ResNetConfig, convolutions: impl Fn(u32, LayerConfig) -> Vec<(u32, u32, u32)>) {
        self.convolution("backbone.conv1", resnet.stem, 3, 7);
        self.batch_norm("backbone.bn1", resnet.stem);
        let mut input = resnet.stem;
        for (number, &layer) in (1..).zip(&resnet.layers) {
            for block in 0..layer.blocks {
                let name = format!("backbone.layer{number}.{block}");
                for (index, (output, input, kernel)) in (1..).zip(convolutions(input, layer)) {
                    self.convolution(&format!("{name}.conv{index}"), output, input, kernel);
                    self.batch_norm(&format!("{name}.bn{index}"), output);
                }
                let halves = number > 1 && block == 0;
                if halves || input != layer.channels {
                    self.convolution(&format!("{name}.downsample.0"), layer.channels, input, 1);
                    self.batch_norm(&format!("{name}.downsample.1"), layer.channels);
                }
                input = layer.channels;
            }
        }
    }

    fn efficientnet(&mut self, network: &EfficientNetConfig) {
        self.convolution("backbone.conv_stem", network.stem, 3, 3);
        self.batch_norm("backbone.bn1", network.stem);
        let mut input = network.stem;
        for (number, stage) in network.layers.iter().flatten().enumerate() {
            for block in 0..stage.blocks {
                let name = format!("backbone.blocks.{number}.{block}");
                let wide = input * stage.expand;
                // Depthwise convolutions have one input channel for each output channel.
                let convolutions = match stage.expand {
                    1 => vec![("conv_dw", wide, 1, stage.kernel), ("conv_pw", stage.channels, wide, 1)],
                    _ => vec![
                        ("conv_pw", wide, input, 1),
                        ("conv_dw", wide, 1, stage.kernel),
                        ("conv_pwl", stage.channels, wide, 1),
                    ],
                };
                for (index, (convolution, output, input, kernel)) in (1..).zip(convolutions) {
                    self.convolution(&format!("{name}.{convolution}"), output, input, kernel);
                    self.batch_norm(&format!("{name}.bn{index}"), output);
                }
                input = stage.channels;
            }
        }
    }

    fn adaptor(&mut self, config: &ModelConfig) {
        let levels = config.backbone.channels().into_iter().zip(config.level_channels()).zip(["", "_1", "_2"]);
        for (number, ((features, channels), suffix)) in (1..).zip(levels) {
            if config.descriptor == DescriptorKind::Rotation {
                self.rotation(suffix, features, channels);
            }
            // CoordConv: the row's and the column's coordinate join the input channels.
            let coord_conv = format!("adaptor.Descriptor.layer_{number}.conv");
            self.convolution(&coord_conv, channels, channels + 2, 1);
            self.add(format!("{coord_conv}.bias"), &[channels]);
        }
        self.add("adaptor.C".into(), &[config.descriptor_channels(), config.prototypes]);
    }

    /// The rotation descriptor's three 1 x 1 convolutions on one level; no BatchNorm follows the last.
    fn rotation(&mut self, suffix: &str, features: u32, channels: u32) {
        for (number, input) in [(1, features), (2, channels), (3, channels)] {
            self.convolution(&format!("adaptor.Descriptor.conv{number}{suffix}"), channels, input, 1);
            if number < 3 {
                self.batch_norm(&format!("adaptor.Descriptor.bn{number}{suffix}"), channels);
            }
        }
    }

    fn decoder(&mut self, config: &ModelConfig) {
        let width = config.width;
        let bins = config.bins.len() as u32;
        for bin in 0..bins {
            self.convolution(&format!("cas.corr_conv.{bin}.0"), width, config.guide + config.nearest, 1);
            if bin > 0 {
                // Merges the coarser bin with the finer one before it, so the first has none.
                self.convolution(&format!("cas.alpha_conv.{}.0", bin - 1), width, 2 * width, 1);
            }
            self.convolution(&format!("cas.beta_conv.{bin}.0"), width, width, 3);
            self.convolution(&format!("cas.beta_conv.{bin}.2"), width, width, 3);
        }
        self.convolution("cas.res1.0", width, bins * width, 1);
        self.convolution("cas.res2.0", width, width, 3);
        self.convolution("cas.res2.2", width, width, 3);
        self.convolution("cas.cls.0", width, width, 3);
        self.convolution("cas.cls.3", 1, width, 1);
        self.add("cas.cls.3.bias".into(), &[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            input: 32,
            grid: 8,
            prototypes: 20,
            nearest: 12,
            guide: 16,
            width: 28,
            bins: vec![7, 3, 1],
            ..standard(backbone, DescriptorKind::Rotation)
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
