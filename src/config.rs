//! Every size of the network, in one place.
//!
//! A model file names its kind in its metadata; the sizes then follow from [`ModelConfig`], and no size
//! stands anywhere else in the code. Shapes in this crate's documentation use these names: `D` is
//! [`ModelConfig::descriptor_channels`], `P` [`ModelConfig::prototypes`], `K` [`ModelConfig::nearest`] and
//! `W` [`ModelConfig::width`].

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Levels of the feature pyramid: the outputs of the backbone's layers 1, 2 and 3.
pub const LEVELS: usize = 3;

/// The sizes of one PCSNet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// The network that gives the features.
    pub backbone: BackboneConfig,
    /// How features become descriptors.
    pub descriptor: DescriptorKind,
    /// Side of the square input image, in pixels.
    pub input: u32,
    /// Side of the square grid of positions that descriptors, scores and decoder share.
    pub grid: u32,
    /// Number of prototypes `P`.
    pub prototypes: u32,
    /// Number `K` of nearest prototype distances kept for each position.
    pub nearest: u32,
    /// Leading descriptor channels that guide the decoder.
    pub guide: u32,
    /// Channels `W` of the context-aware segmentation (CAS) decoder.
    pub width: u32,
    /// Sides of the decoder's pooling grids, in the order the decoder runs them.
    pub bins: Vec<u32>,
}

/// A residual network up to its third layer (He et al., "Deep Residual Learning", 2015).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackboneConfig {
    /// The kind of residual block.
    pub block: BlockKind,
    /// Channels of the 7 x 7 stem convolution.
    pub stem: u32,
    /// Layers 1, 2 and 3.
    pub layers: [LayerConfig; LEVELS],
}

/// One layer (a run of residual blocks at one resolution) of the backbone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerConfig {
    /// Residual blocks.
    pub blocks: u32,
    /// Channels inside a block, between its convolutions.
    pub width: u32,
    /// Channels the layer gives.
    pub channels: u32,
}

/// The kind of residual block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BlockKind {
    /// Two 3 x 3 convolutions: ResNet-18 and -34.
    Basic,
    /// 1 x 1, 3 x 3, 1 x 1 convolutions: ResNet-50 and its wide variants.
    Bottleneck,
}

/// How features become descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptorKind {
    /// CoordConv on the features themselves.
    Plain,
    /// Three 1 x 1 convolutions that halve the channels come first; for categories whose parts lie at any angle.
    Rotation,
}

impl BackboneConfig {
    /// WideResNet-50-2 (Zagoruyko and Komodakis, 2016), torchvision's `wide_resnet50_2`.
    pub fn wide_resnet50_2() -> Self {
        let layer = |blocks, width, channels| LayerConfig { blocks, width, channels };
        Self {
            block: BlockKind::Bottleneck,
            stem: 64,
            layers: [layer(3, 128, 256), layer(4, 256, 512), layer(6, 512, 1024)],
        }
    }

    /// ResNet-18, torchvision's `resnet18`.
    pub fn resnet18() -> Self {
        let layer = |channels| LayerConfig { blocks: 2, width: channels, channels };
        Self { block: BlockKind::Basic, stem: 64, layers: [layer(64), layer(128), layer(256)] }
    }

    /// The backbone of a name used in model metadata.
    ///
    /// # Errors
    /// [`Error::Config`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "wide_resnet50_2" => Ok(Self::wide_resnet50_2()),
            "resnet18" => Ok(Self::resnet18()),
            other => Err(Error::Config(format!("unknown backbone `{other}`; known are wide_resnet50_2 and resnet18"))),
        }
    }
}

impl DescriptorKind {
    /// The descriptor kind of a name used in model metadata.
    ///
    /// # Errors
    /// [`Error::Config`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "plain" => Ok(Self::Plain),
            "rotation" => Ok(Self::Rotation),
            other => Err(Error::Config(format!("unknown descriptor kind `{other}`; known are plain and rotation"))),
        }
    }
}

impl ModelConfig {
    /// The authors' sizes for a backbone and a descriptor kind: 224 px input, a 64 x 64 grid with one prototype per
    /// position, the 200 nearest distances, bins 60, 30, 15, 8, and a decoder as wide as its guide, which is half of a
    /// plain descriptor's channels and all of a rotation descriptor's.
    pub fn standard(backbone: BackboneConfig, descriptor: DescriptorKind) -> Self {
        let features: u32 = backbone.layers.iter().map(|layer| layer.channels).sum();
        Self {
            backbone,
            descriptor,
            input: 224,
            grid: 64,
            prototypes: 64 * 64,
            nearest: 200,
            guide: features / 2,
            width: features / 2,
            bins: vec![60, 30, 15, 8],
        }
    }

    /// Descriptor channels of each level.
    pub fn level_channels(&self) -> [u32; LEVELS] {
        let divisor = match self.descriptor {
            DescriptorKind::Plain => 1,
            DescriptorKind::Rotation => 2,
        };
        self.backbone.layers.map(|layer| layer.channels / divisor)
    }

    /// Descriptor channels `D`, all levels together.
    pub fn descriptor_channels(&self) -> u32 {
        self.level_channels().iter().sum()
    }

    /// Side of the square feature maps of each level: stem and pooling halve the input twice, layers 2 and 3 once each.
    pub fn level_sides(&self) -> [u32; LEVELS] {
        let halve = |side: u32| side.div_ceil(2);
        let level1 = halve(halve(self.input));
        [level1, halve(level1), halve(halve(level1))]
    }

    /// Checks that the sizes fit one another.
    ///
    /// # Errors
    /// [`Error::Config`] with the sizes that do not.
    pub fn validate(&self) -> Result<()> {
        let ensure = |holds: bool, message: String| if holds { Ok(()) } else { Err(Error::Config(message)) };
        // Kernels read a pixel's channels four at a time; concatenations must not split such a group.
        let multiples_of_4 = [
            ("stem", self.backbone.stem),
            ("guide", self.guide),
            ("nearest", self.nearest),
            ("width", self.width),
            ("prototypes", self.prototypes),
        ];
        let layers =
            self.backbone.layers.iter().flat_map(|l| [("layer width", l.width), ("layer channels", l.channels)]);
        let levels = self.level_channels().map(|c| ("level channels", c));
        for (name, value) in multiples_of_4.into_iter().chain(layers).chain(levels) {
            ensure(value > 0 && value % 4 == 0, format!("{name} is {value}, must be a positive multiple of 4"))?;
        }
        for layer in &self.backbone.layers {
            ensure(
                (1..=64).contains(&layer.blocks),
                format!("a layer has {} blocks, must have 1 to 64", layer.blocks),
            )?;
            let basic_widens = self.backbone.block == BlockKind::Basic && layer.width != layer.channels;
            ensure(
                !basic_widens,
                format!("basic blocks of width {} cannot give {} channels", layer.width, layer.channels),
            )?;
        }
        // Bounds that keep every index in 32 bits and refuse nonsense before anything is allocated.
        let bounded = [
            ("input", self.input, 8, 4096),
            ("grid", self.grid, 2, 512),
            ("width", self.width, 4, 16384),
            ("prototypes", self.prototypes, 4, 1 << 20),
            ("stem", self.backbone.stem, 4, 16384),
        ];
        for (name, value, low, high) in bounded {
            ensure((low..=high).contains(&value), format!("{name} is {value}, must be {low} to {high}"))?;
        }
        for layer in &self.backbone.layers {
            ensure(
                layer.channels <= 16384 && layer.width <= 16384,
                format!("a layer has {} channels of width {}, at most 16384 are possible", layer.channels, layer.width),
            )?;
        }
        ensure(
            self.nearest <= self.prototypes.min(1024),
            format!(
                "{} nearest distances of {} prototypes, at most min(prototypes, 1024) are possible",
                self.nearest, self.prototypes
            ),
        )?;
        ensure(
            self.guide <= self.descriptor_channels(),
            format!("guide takes {} of {} descriptor channels", self.guide, self.descriptor_channels()),
        )?;
        ensure((1..=8).contains(&self.bins.len()), format!("{} bins, must be 1 to 8", self.bins.len()))?;
        for &bin in &self.bins {
            ensure((1..=self.grid).contains(&bin), format!("bin {bin} does not fit a grid of {}", self.grid))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_sizes() {
        let plain = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
        plain.validate().expect("the authors' sizes are valid");
        assert_eq!(plain.descriptor_channels(), 1792);
        assert_eq!((plain.guide, plain.width), (896, 896));
        assert_eq!(plain.level_sides(), [56, 28, 14]);
        let rotation = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Rotation);
        assert_eq!((rotation.descriptor_channels(), rotation.guide), (896, 896));
        let small = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        assert_eq!((small.descriptor_channels(), small.guide, small.width), (448, 224, 224));
    }

    #[test]
    fn contradictions_are_named() {
        let mut config = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        config.nearest = 202;
        assert!(config.validate().expect_err("not a multiple of 4").to_string().contains("nearest is 202"));
        config.nearest = 200;
        config.bins = vec![65];
        assert!(config.validate().expect_err("larger than the grid").to_string().contains("bin 65"));
    }
}
