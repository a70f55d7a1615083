//! Every size of the network, in one place.
//!
//! A model file names its kind in its metadata; the sizes then follow from [`ModelConfig`], and no size
//! stands anywhere else in the code. Shapes in this crate's documentation use these names: `D` is
//! [`ModelConfig::descriptor_channels`], `P` [`TrainedHead::prototypes`], `K` [`TrainedHead::nearest`] and
//! `W` [`TrainedHead::width`].

use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Levels of the feature pyramid: the outputs of the backbone's layers 1, 2 and 3.
pub const LEVELS: usize = 3;

/// What PyTorch's BatchNorm adds to a variance before the square root, unless told otherwise.
pub(crate) const PYTORCH_EPSILON: f64 = 1e-5;
/// What TensorFlow's BatchNorm adds, and with it the EfficientNets.
pub(crate) const TENSORFLOW_EPSILON: f64 = 1e-3;

/// The sizes of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stated", into = "Stated")]
pub struct ModelConfig {
    /// The network that gives the features.
    pub backbone: BackboneConfig,
    /// Side of the square input image, in pixels.
    pub input: u32,
    /// The light that every photograph is brought to first, where good parts are photographed in differing light.
    pub light: Option<Light>,
    /// Side of the square grid of positions that are compared with prototypes.
    pub grid: u32,
    /// What becomes of the features.
    pub head: HeadConfig,
}

/// How bright a photograph is, and how much its brightness varies: by the luminance of its pixels (ITU-R BT.601), of
/// which 0 is black and 1 white.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Light {
    /// The median.
    pub level: f32,
    /// The range in which lie all but the darkest and the lightest tenth.
    pub contrast: f32,
}

/// What stands behind the backbone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadConfig {
    /// PCSNet's own head, trained by gradients: descriptor, prototypes and the CAS decoder.
    Trained(TrainedHead),
    /// Distances to prototypes of each level, in units of what good parts have, all of it found in closed form.
    Taught(TaughtHead),
}

/// The sizes of PCSNet's own head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedHead {
    /// How features become descriptors.
    pub descriptor: DescriptorKind,
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

/// The sizes of a taught head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaughtHead {
    /// The levels whose features are compared, in rising order; levels that are left out are not computed where no
    /// other needs them.
    pub levels: Vec<TaughtLevel>,
}

/// The sizes of one level of a taught head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaughtLevel {
    /// 1, 2 or 3: the backbone's layer.
    pub level: u32,
    /// Number of prototypes.
    pub prototypes: u32,
}

/// A [`ModelConfig`] as model files have it, and Python's `dataclasses.asdict`: a trained head's sizes stand beside the
/// others, a taught head's levels are a list of their own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stated {
    backbone: BackboneConfig,
    input: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    light: Option<Light>,
    grid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<DescriptorKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prototypes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guide: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bins: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    taught: Option<Vec<TaughtLevel>>,
}

impl TryFrom<Stated> for ModelConfig {
    type Error = String;

    fn try_from(stated: Stated) -> std::result::Result<Self, String> {
        let Stated { backbone, input, light, grid, descriptor, prototypes, nearest, guide, width, bins, taught } =
            stated;
        let head = match (descriptor, prototypes, nearest, guide, width, bins, taught) {
            (None, None, None, None, None, None, Some(levels)) => HeadConfig::Taught(TaughtHead { levels }),
            (Some(descriptor), Some(prototypes), Some(nearest), Some(guide), Some(width), Some(bins), None) => {
                HeadConfig::Trained(TrainedHead { descriptor, prototypes, nearest, guide, width, bins })
            }
            _ => {
                return Err("either `taught` is expected, or descriptor, prototypes, nearest, guide, width and bins, \
                            all of them"
                    .to_owned());
            }
        };
        Ok(Self { backbone, input, light, grid, head })
    }
}

impl From<ModelConfig> for Stated {
    fn from(ModelConfig { backbone, input, light, grid, head }: ModelConfig) -> Self {
        let (trained, taught) = match head {
            HeadConfig::Trained(head) => (Some(head), None),
            HeadConfig::Taught(head) => (None, Some(head.levels)),
        };
        let part = trained.as_ref();
        Self {
            backbone,
            input,
            light,
            grid,
            descriptor: part.map(|head| head.descriptor),
            prototypes: part.map(|head| head.prototypes),
            nearest: part.map(|head| head.nearest),
            guide: part.map(|head| head.guide),
            width: part.map(|head| head.width),
            bins: trained.map(|head| head.bins),
            taught,
        }
    }
}

/// A convolutional network that gives features at a quarter, an eighth and a sixteenth of the input's side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "block", rename_all = "lowercase")]
pub enum BackboneConfig {
    /// Residual blocks of two 3 x 3 convolutions: ResNet-18 and -34.
    Basic(ResNetConfig),
    /// Residual blocks of 1 x 1, 3 x 3, 1 x 1 convolutions: ResNet-50 and its wide variants.
    Bottleneck(ResNetConfig),
    /// Inverted residual blocks (widen, depthwise, narrow) without squeeze-and-excitation: EfficientNet-Lite.
    Inverted(EfficientNetConfig),
}

/// A residual network up to its third layer (He et al., "Deep Residual Learning", 2015).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResNetConfig {
    /// Channels of the 7 x 7 stem convolution.
    pub stem: u32,
    /// Layers 1, 2 and 3.
    pub layers: [LayerConfig; LEVELS],
}

/// One layer (a run of residual blocks at one resolution) of a ResNet.
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

/// An EfficientNet (Tan and Le, 2019) of the Lite family, up to the block that gives the third level's features.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EfficientNetConfig {
    /// Channels of the 3 x 3 stem convolution.
    pub stem: u32,
    /// The stages of each level; a level's features are the output of its last.
    pub layers: [Vec<StageConfig>; LEVELS],
}

/// One stage (a run of inverted residual blocks) of an EfficientNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Inverted residual blocks.
    pub blocks: u32,
    /// Side of the depthwise convolutions.
    pub kernel: u32,
    /// Stride of the first block's depthwise convolution.
    pub stride: u32,
    /// How many times a block widens its input; 1 leaves the widening convolution out.
    pub expand: u32,
    /// Channels the stage gives.
    pub channels: u32,
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

impl DescriptorKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Rotation];

    /// Its name, as in a model's metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Rotation => "rotation",
        }
    }

    /// The descriptor kind of a name used in model metadata.
    ///
    /// # Errors
    /// [`Error::Input`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        let unknown = || Error::unknown("descriptor", name, &Self::ALL.map(Self::name));
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

/// Mean and standard deviation of the RGB channels (of values from 0 to 1) that a backbone expects removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Subtracted first.
    pub mean: [f32; 3],
    /// Divided by then.
    pub deviation: [f32; 3],
}

impl BackboneConfig {
    /// WideResNet-50-2 (Zagoruyko and Komodakis, 2016), torchvision's `wide_resnet50_2`.
    pub fn wide_resnet50_2() -> Self {
        let layer = |blocks, width, channels| LayerConfig { blocks, width, channels };
        let layers = [layer(3, 128, 256), layer(4, 256, 512), layer(6, 512, 1024)];
        Self::Bottleneck(ResNetConfig { stem: 64, layers })
    }

    /// ResNet-18, torchvision's `resnet18`.
    pub fn resnet18() -> Self {
        let layers = [64, 128, 256].map(|channels| LayerConfig { blocks: 2, width: channels, channels });
        Self::Basic(ResNetConfig { stem: 64, layers })
    }

    /// Whether the levels are linear projections, as an inverted residual block ends in one. The channels of such a
    /// level mean nothing by themselves, for the next layer would undo any mixture of them; those of other networks
    /// have passed an activation one by one.
    pub(crate) fn has_linear_levels(&self) -> bool {
        matches!(self, Self::Inverted(_))
    }

    /// EfficientNet-Lite0 up to its eleventh block, timm's `tf_efficientnet_lite0`.
    pub fn efficientnet_lite0() -> Self {
        let stage = |blocks, kernel, stride, expand, channels| StageConfig { blocks, kernel, stride, expand, channels };
        let layers = [
            vec![stage(1, 3, 1, 1, 16), stage(2, 3, 2, 6, 24)],
            vec![stage(2, 5, 2, 6, 40)],
            vec![stage(3, 3, 2, 6, 80), stage(3, 5, 1, 6, 112)],
        ];
        Self::Inverted(EfficientNetConfig { stem: 32, layers })
    }

    /// The backbone of a name used in model metadata.
    ///
    /// # Errors
    /// [`Error::Config`] names the known ones.
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            "wide_resnet50_2" => Ok(Self::wide_resnet50_2()),
            "resnet18" => Ok(Self::resnet18()),
            "efficientnet_lite0" => Ok(Self::efficientnet_lite0()),
            other => Err(Error::Config(format!(
                "unknown backbone `{other}`; known are wide_resnet50_2, resnet18 and efficientnet_lite0"
            ))),
        }
    }

    /// Channels of each level's features.
    pub fn channels(&self) -> [u32; LEVELS] {
        match self {
            Self::Basic(resnet) | Self::Bottleneck(resnet) => resnet.layers.map(|layer| layer.channels),
            Self::Inverted(network) => {
                [0, 1, 2].map(|level| network.layers[level].last().map_or(0, |stage| stage.channels))
            }
        }
    }

    /// Channels of the first convolution.
    pub fn stem(&self) -> u32 {
        match self {
            Self::Basic(resnet) | Self::Bottleneck(resnet) => resnet.stem,
            Self::Inverted(network) => network.stem,
        }
    }

    /// What to remove from the input: ImageNet's statistics, or TensorFlow's `(x - 127) / 128` of 8-bit values for
    /// EfficientNet-Lite.
    pub fn normalization(&self) -> Normalization {
        match self {
            Self::Basic(_) | Self::Bottleneck(_) => {
                Normalization { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] }
            }
            Self::Inverted(_) => Normalization { mean: [127.0 / 255.0; 3], deviation: [128.0 / 255.0; 3] },
        }
    }

    /// Checks that the network's sizes can be run and halve the resolution where they must.
    fn validate(&self) -> Result<()> {
        match self {
            Self::Basic(resnet) | Self::Bottleneck(resnet) => {
                for layer in &resnet.layers {
                    block_count(layer.blocks)?;
                    channel_count("layer width", layer.width)?;
                    channel_count("layer channels", layer.channels)?;
                    let widens = matches!(self, Self::Basic(_)) && layer.width != layer.channels;
                    ensure(!widens, || {
                        format!("basic blocks of width {} cannot give {} channels", layer.width, layer.channels)
                    })?;
                }
            }
            Self::Inverted(network) => {
                for (level, stages) in (1..).zip(&network.layers) {
                    let stride: u32 = stages.iter().map(|stage| stage.stride.min(4)).product();
                    ensure(stride == 2 && stages.len() <= 8, || {
                        format!("the at most 8 stages of level {level} must have strides that make 2 together")
                    })?;
                    stages.iter().try_for_each(StageConfig::validate)?;
                }
            }
        }
        channel_count("stem", self.stem())
    }
}

impl StageConfig {
    fn validate(&self) -> Result<()> {
        block_count(self.blocks)?;
        channel_count("stage channels", self.channels)?;
        ensure([3, 5, 7].contains(&self.kernel), || format!("a stage has kernel {}, must be 3, 5 or 7", self.kernel))?;
        ensure((1..=16).contains(&self.expand), || format!("a stage expands by {}, must be 1 to 16", self.expand))
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Config(message())) }
}

fn block_count(blocks: u32) -> Result<()> {
    ensure((1..=64).contains(&blocks), || format!("a layer has {blocks} blocks, must have 1 to 64"))
}

/// Kernels read a pixel's channels four at a time, and concatenations must not split such a group; the upper bound
/// refuses nonsense before anything is allocated.
fn channel_count(name: &str, value: u32) -> Result<()> {
    ensure((4..=16384).contains(&value) && value.is_multiple_of(4), || {
        format!("{name} is {value}, must be a multiple of 4 from 4 to 16384")
    })
}

impl ModelConfig {
    /// The authors' sizes for a backbone and a descriptor kind: 224 px input, a 64 x 64 grid with one prototype per
    /// position, the 200 nearest distances, bins 60, 30, 15, 8, and a decoder as wide as its guide, which is half of a
    /// plain descriptor's channels and all of a rotation descriptor's.
    pub fn standard(backbone: BackboneConfig, descriptor: DescriptorKind) -> Self {
        let features: u32 = backbone.channels().iter().sum();
        let head = TrainedHead {
            descriptor,
            prototypes: 64 * 64,
            nearest: 200,
            guide: features / 2,
            width: features / 2,
            bins: vec![60, 30, 15, 8],
        };
        Self { backbone, input: 224, light: None, grid: 64, head: HeadConfig::Trained(head) }
    }

    /// PCSNet's own head, where the model has one.
    pub fn trained(&self) -> Option<&TrainedHead> {
        match &self.head {
            HeadConfig::Trained(head) => Some(head),
            HeadConfig::Taught(_) => None,
        }
    }

    /// The levels of the backbone that become descriptors, as indices in reading order.
    pub(crate) fn levels(&self) -> Vec<usize> {
        match &self.head {
            HeadConfig::Trained(_) => (0..LEVELS).collect(),
            HeadConfig::Taught(head) => head.levels.iter().map(|level| level.level as usize - 1).collect(),
        }
    }

    /// How many of the backbone's levels have to be computed.
    pub(crate) fn depth(&self) -> usize {
        self.levels().into_iter().max().map_or(0, |deepest| deepest + 1)
    }

    /// Descriptor channels of each level.
    pub fn level_channels(&self) -> [u32; LEVELS] {
        let divisor = match self.trained().map(|head| head.descriptor) {
            Some(DescriptorKind::Rotation) => 2,
            Some(DescriptorKind::Plain) | None => 1,
        };
        self.backbone.channels().map(|channels| channels / divisor)
    }

    /// Descriptor channels `D`, all levels together.
    pub fn descriptor_channels(&self) -> u32 {
        let channels = self.level_channels();
        self.levels().into_iter().map(|level| channels[level]).sum()
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
        self.backbone.validate()?;
        for channels in self.level_channels() {
            channel_count("level channels", channels)?;
        }
        // Bounds that keep every index in 32 bits.
        for (name, value, low, high) in [("input", self.input, 8, 4096), ("grid", self.grid, 2, 512)] {
            ensure((low..=high).contains(&value), || format!("{name} is {value}, must be {low} to {high}"))?;
        }
        if let Some(Light { level, contrast }) = self.light {
            ensure([level, contrast].iter().all(|value| (0.0..=1.0).contains(value)), || {
                format!("light has level {level} and contrast {contrast}, must be from 0 to 1")
            })?;
        }
        match &self.head {
            HeadConfig::Trained(head) => head.validate(self),
            HeadConfig::Taught(head) => head.validate(),
        }
    }
}

impl TrainedHead {
    fn validate(&self, model: &ModelConfig) -> Result<()> {
        channel_count("guide", self.guide)?;
        channel_count("nearest", self.nearest)?;
        channel_count("width", self.width)?;
        prototype_count(self.prototypes)?;
        ensure(self.nearest <= self.prototypes.min(1024), || {
            format!(
                "{} nearest distances of {} prototypes, at most min(prototypes, 1024) are possible",
                self.nearest, self.prototypes
            )
        })?;
        ensure(self.guide <= model.descriptor_channels(), || {
            format!("guide takes {} of {} descriptor channels", self.guide, model.descriptor_channels())
        })?;
        ensure((1..=8).contains(&self.bins.len()), || format!("{} bins, must be 1 to 8", self.bins.len()))?;
        self.bins.iter().try_for_each(|bin| {
            ensure((1..=model.grid).contains(bin), || format!("bin {bin} does not fit a grid of {}", model.grid))
        })
    }
}

impl TaughtHead {
    fn validate(&self) -> Result<()> {
        let rising = self.levels.windows(2).all(|pair| pair[0].level < pair[1].level);
        let known = self.levels.iter().all(|level| (1..=LEVELS as u32).contains(&level.level));
        ensure(!self.levels.is_empty() && rising && known, || {
            let named: Vec<u32> = self.levels.iter().map(|level| level.level).collect();
            format!("a taught head has levels {named:?}, must be some of 1, 2 and 3, rising")
        })?;
        self.levels.iter().try_for_each(|level| prototype_count(level.prototypes))
    }
}

fn prototype_count(prototypes: u32) -> Result<()> {
    ensure((4..=1 << 20).contains(&prototypes), || format!("prototypes is {prototypes}, must be 4 to {}", 1 << 20))?;
    ensure(prototypes.is_multiple_of(4), || format!("prototypes is {prototypes}, must be a multiple of 4"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_sizes() {
        let plain = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Plain);
        plain.validate().expect("the authors' sizes are valid");
        assert_eq!(plain.descriptor_channels(), 1792);
        let head = |config: &ModelConfig| config.trained().cloned().expect("a trained head");
        assert_eq!((head(&plain).guide, head(&plain).width), (896, 896));
        assert_eq!(plain.level_sides(), [56, 28, 14]);
        let rotation = ModelConfig::standard(BackboneConfig::wide_resnet50_2(), DescriptorKind::Rotation);
        assert_eq!((rotation.descriptor_channels(), head(&rotation).guide), (896, 896));
        let small = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        assert_eq!((small.descriptor_channels(), head(&small).guide, head(&small).width), (448, 224, 224));
        let edge = ModelConfig::standard(BackboneConfig::efficientnet_lite0(), DescriptorKind::Plain);
        edge.validate().expect("the edge backbone's sizes are valid");
        assert_eq!((edge.descriptor_channels(), head(&edge).guide), (176, 88));
    }

    /// One form for both kinds of head, and nothing of both.
    #[test]
    fn heads_as_json() {
        let trained = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        let level = TaughtLevel { level: 2, prototypes: 4096 };
        let taught = ModelConfig { head: HeadConfig::Taught(TaughtHead { levels: vec![level] }), ..trained.clone() };
        let lit = ModelConfig { light: Some(Light { level: 0.43, contrast: 0.27 }), ..taught.clone() };
        for config in [&trained, &taught, &lit] {
            let json = serde_json::to_value(config).expect("sizes become JSON");
            assert_eq!(&serde_json::from_value::<ModelConfig>(json).expect("and come back"), config);
        }
        let mut json = serde_json::to_value(&trained).expect("sizes become JSON");
        assert_eq!((&json["nearest"], &json["descriptor"], json.get("taught")), (&200.into(), &"plain".into(), None));
        json["taught"] = serde_json::to_value([level]).expect("sizes become JSON");
        assert!(serde_json::from_value::<ModelConfig>(json).is_err());
        let json = serde_json::to_value(&taught).expect("sizes become JSON");
        assert_eq!((&json["taught"][0]["prototypes"], json.get("light")), (&4096.into(), None));
        let glaring = ModelConfig { light: Some(Light { level: 1.5, contrast: 0.2 }), ..taught };
        assert!(glaring.validate().expect_err("brighter than white").to_string().contains("light has level 1.5"));
    }

    /// The form that Python's `dataclasses.asdict` gives.
    #[test]
    fn json_form() {
        let edge = BackboneConfig::efficientnet_lite0();
        let json = serde_json::to_value(&edge).expect("sizes become JSON");
        assert_eq!(json["block"], "inverted");
        assert_eq!(json["layers"][1][0]["kernel"], 5);
        assert_eq!(serde_json::from_value::<BackboneConfig>(json).expect("and come back"), edge);
        let unknown = r#"{"block": "basic", "stem": 64, "layers": [], "colour": 1}"#;
        assert!(serde_json::from_str::<BackboneConfig>(unknown).is_err());
    }

    #[test]
    fn contradictions_are_named() {
        let mut config = ModelConfig::standard(BackboneConfig::resnet18(), DescriptorKind::Plain);
        let refusal = |config: &ModelConfig| config.validate().expect_err("sizes that do not fit").to_string();
        let HeadConfig::Trained(head) = &mut config.head else { panic!("a trained head") };
        head.nearest = 202;
        assert!(refusal(&config).contains("nearest is 202"));
        let HeadConfig::Trained(head) = &mut config.head else { panic!("a trained head") };
        (head.nearest, head.bins) = (200, vec![65]);
        assert!(refusal(&config).contains("bin 65"));
        for levels in [&[][..], &[2, 1], &[2, 2], &[0], &[4]] {
            let levels = levels.iter().map(|&level| TaughtLevel { level, prototypes: 8 }).collect();
            config.head = HeadConfig::Taught(TaughtHead { levels });
            assert!(refusal(&config).contains("must be some of 1, 2 and 3, rising"));
        }
        config.head = HeadConfig::Taught(TaughtHead { levels: vec![TaughtLevel { level: 1, prototypes: 6 }] });
        assert!(refusal(&config).contains("prototypes is 6"));
    }
}
