"""Every size of the network, in one place; the JSON form is that of the Rust engine's `ModelConfig`.

Shapes in this package's documentation use `N` images, `D` descriptor channels, `P` prototypes, `K` nearest
prototypes, `G` side of the grid of positions and `W` decoder channels.
"""

import dataclasses
import json
import math
from dataclasses import dataclass

from pcsnet_torch.errors import PcsnetError

LEVELS = 3


@dataclass(frozen=True)
class LayerConfig:
    """A run of residual blocks at one resolution; `width` is the channels between a block's convolutions."""

    blocks: int
    width: int
    channels: int


@dataclass(frozen=True)
class StageConfig:
    """A run of inverted residual blocks: `kernel` x `kernel` depthwise, the first with `stride`.

    `expand` is the factor by which a block widens its input; 1 leaves the widening convolution out.
    """

    blocks: int
    kernel: int
    stride: int
    expand: int
    channels: int


@dataclass(frozen=True)
class BackboneConfig:
    """A convolutional network up to its third level.

    block   "basic" (ResNet-18, -34), "bottleneck" (ResNet-50 and wide variants) or "inverted" (EfficientNet-Lite)
    stem    channels of the first convolution
    layers  one entry per level: a LayerConfig, or for "inverted" a tuple of StageConfig
    """

    block: str
    stem: int
    layers: tuple

    @property
    def channels(self) -> tuple[int, int, int]:
        """Channels of each level's features."""
        if self.block == "inverted":
            return tuple(stages[-1].channels for stages in self.layers)
        return tuple(layer.channels for layer in self.layers)

    @classmethod
    def wide_resnet50_2(cls) -> "BackboneConfig":
        """WideResNet-50-2 (Zagoruyko and Komodakis, 2016), torchvision's `wide_resnet50_2`."""
        layers = LayerConfig(3, 128, 256), LayerConfig(4, 256, 512), LayerConfig(6, 512, 1024)
        return cls("bottleneck", 64, layers)

    @classmethod
    def resnet18(cls) -> "BackboneConfig":
        """ResNet-18, torchvision's `resnet18`."""
        return cls("basic", 64, tuple(LayerConfig(2, c, c) for c in (64, 128, 256)))

    @classmethod
    def efficientnet_lite0(cls) -> "BackboneConfig":
        """EfficientNet-Lite0 up to its eleventh block, timm's `tf_efficientnet_lite0`."""
        layers = (
            (StageConfig(1, 3, 1, 1, 16), StageConfig(2, 3, 2, 6, 24)),
            (StageConfig(2, 5, 2, 6, 40),),
            (StageConfig(3, 3, 2, 6, 80), StageConfig(3, 5, 1, 6, 112)),
        )
        return cls("inverted", 32, layers)

    @classmethod
    def by_name(cls, name: str) -> "BackboneConfig":
        """The backbone of a name used in model metadata."""
        if name not in BACKBONES:
            raise PcsnetError(f"unknown backbone `{name}`; known are {', '.join(BACKBONES)}")
        return getattr(cls, name)()

    @classmethod
    def from_dict(cls, fields: dict) -> "BackboneConfig":
        _check_fields(cls, fields)
        if fields["block"] not in BLOCKS:
            raise PcsnetError(f"unknown block `{fields['block']}`; known are {', '.join(BLOCKS)}")
        if len(fields["layers"]) != LEVELS:
            raise PcsnetError(f"the backbone has {len(fields['layers'])} layers, must have {LEVELS}")
        if fields["block"] == "inverted":
            layers = tuple(tuple(_build(StageConfig, s) for s in stages) for stages in fields["layers"])
        else:
            layers = tuple(_build(LayerConfig, layer) for layer in fields["layers"])
        return cls(fields["block"], fields["stem"], layers)


BACKBONES = ("wide_resnet50_2", "resnet18", "efficientnet_lite0")
BLOCKS = ("basic", "bottleneck", "inverted")
DESCRIPTORS = ("plain", "rotation")


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of one PCSNet.

    descriptor  "plain", or "rotation": 1x1 convolutions first halve the channels; for parts that lie at any angle
    input       side of the square input image, pixels
    grid        side G of the grid of positions that descriptors, scores and decoder share
    prototypes  P
    nearest     K nearest prototype distances kept for each position
    guide       leading descriptor channels that guide the decoder
    width       decoder channels W
    bins        sides of the decoder's pooling grids, in the order the decoder runs them
    """

    backbone: BackboneConfig
    descriptor: str
    input: int
    grid: int
    prototypes: int
    nearest: int
    guide: int
    width: int
    bins: tuple[int, ...]

    @classmethod
    def standard(cls, backbone: BackboneConfig, descriptor: str) -> "ModelConfig":
        """The authors' sizes: half of a plain descriptor's channels, or all of a rotation one's, guide the decoder."""
        half = sum(backbone.channels) // 2
        return cls(backbone, descriptor, 224, 64, 64 * 64, 200, half, half, (60, 30, 15, 8))

    @classmethod
    def by_name(cls, backbone: str, descriptor: str) -> "ModelConfig":
        """The authors' sizes for a backbone and a descriptor kind named as in model metadata."""
        if descriptor not in DESCRIPTORS:
            raise PcsnetError(f"unknown descriptor kind `{descriptor}`; known are {', '.join(DESCRIPTORS)}")
        return cls.standard(BackboneConfig.by_name(backbone), descriptor)

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        try:
            fields = json.loads(text)
        except json.JSONDecodeError as error:
            raise PcsnetError(f"the model configuration is not JSON: {error}") from None
        _check_fields(cls, fields)
        backbone, bins = BackboneConfig.from_dict(fields["backbone"]), tuple(fields["bins"])
        config = cls(**{**fields, "backbone": backbone, "bins": bins})
        config.validate()
        return config

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"))

    @property
    def level_channels(self) -> tuple[int, int, int]:
        """Descriptor channels of each level."""
        divisor = 2 if self.descriptor == "rotation" else 1
        return tuple(c // divisor for c in self.backbone.channels)

    @property
    def descriptor_channels(self) -> int:
        """D, all levels together."""
        return sum(self.level_channels)

    def validate(self) -> None:
        """Raises PcsnetError naming the sizes that do not fit one another."""
        sizes = ("input", "grid", "prototypes", "nearest", "guide", "width")
        for name, value in [*((n, getattr(self, n)) for n in sizes), ("stem", self.backbone.stem)]:
            _ensure(isinstance(value, int) and value > 0, f"{name} is {value}, must be a positive whole number")
        _ensure(self.descriptor in DESCRIPTORS, f"unknown descriptor kind `{self.descriptor}`")
        # The engine's kernels read channels four at a time; a model that breaks this could not be run by it.
        fours = {n: getattr(self, n) for n in ("prototypes", "nearest", "guide", "width")}
        fours["stem"] = self.backbone.stem
        fours.update({f"level {k} channels": c for k, c in enumerate(self.level_channels, 1)})
        for name, value in fours.items():
            _ensure(value % 4 == 0, f"{name} is {value}, must be a multiple of 4")
        _ensure(self.nearest <= self.prototypes, f"{self.nearest} nearest distances of {self.prototypes} prototypes")
        _ensure(self.guide <= self.descriptor_channels,
                f"guide takes {self.guide} of {self.descriptor_channels} descriptor channels")
        _ensure(len(self.bins) > 0 and all(1 <= b <= self.grid for b in self.bins),
                f"bins {self.bins} do not fit a grid of {self.grid}")
        for level, layer in enumerate(self.backbone.layers, 1):
            if self.backbone.block == "basic":
                _ensure(layer.width == layer.channels,
                        f"basic blocks of width {layer.width} cannot give {layer.channels} channels")
            if self.backbone.block == "inverted":
                _check_stages(level, layer)


def _ensure(holds: bool, message: str) -> None:
    if not holds:
        raise PcsnetError(f"model configuration: {message}")


def _check_stages(level: int, stages: tuple) -> None:
    _ensure(math.prod(stage.stride for stage in stages) == 2, f"the strides of level {level} must make 2 together")
    for stage in stages:
        _ensure(stage.kernel in (3, 5, 7), f"a kernel of {stage.kernel}, must be 3, 5 or 7")
        _ensure(stage.blocks > 0 and stage.expand > 0, f"{stage.blocks} blocks that expand by {stage.expand}")
        _ensure(stage.channels % 4 == 0, f"a stage has {stage.channels} channels, must be a multiple of 4")


def _check_fields(cls, fields) -> None:
    known = {f.name for f in dataclasses.fields(cls)}
    _ensure(isinstance(fields, dict), f"{cls.__name__} is {fields!r}, must be an object")
    _ensure(set(fields) == known,
            f"{cls.__name__} has fields {sorted(fields)}, must have exactly {sorted(known)}")


def _build(cls, fields: dict):
    _check_fields(cls, fields)
    return cls(**fields)
