"""Frozen ImageNet networks that give three levels of features, with torchvision's and timm's tensor names."""

import torch.nn.functional as F
from torch import Tensor, nn

from pcsnet_torch.config import BackboneConfig


def build(config: BackboneConfig) -> nn.Module:
    """A network that maps N x 3 x S x S to three feature maps of sides S/4, S/8 and S/16, rounded up."""
    return EfficientNetLite(config) if config.block == "inverted" else ResNet(config)


class ResNet(nn.Module):
    """ResNet up to layer 3 (He et al., 2015), tensor names of torchvision.

    Two habits of PCSNet's authors differ from torchvision: the ReLU stands at the start of each block, so a layer's
    raw output may be negative, and the outputs handed on pass a leaky ReLU of slope 0.01.
    """

    def __init__(self, config: BackboneConfig):
        super().__init__()
        block = {"basic": BasicBlock, "bottleneck": Bottleneck}[config.block]
        self.conv1 = nn.Conv2d(3, config.stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(config.stem)
        inputs = config.stem
        for level, layer in enumerate(config.layers, 1):
            blocks = []
            for b in range(layer.blocks):
                stride = 2 if level > 1 and b == 0 else 1
                blocks.append(block(inputs, layer.width, layer.channels, stride))
                inputs = layer.channels
            setattr(self, f"layer{level}", nn.Sequential(*blocks))

    def forward(self, image: Tensor) -> list:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, stride=2, padding=1)
        features = []
        for layer in (self.layer1, self.layer2, self.layer3):
            x = layer(x)
            features.append(F.leaky_relu(x, 0.01))
        return features


def _shortcut(inputs: int, outputs: int, stride: int):
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; the stride is in the first."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions; the stride is in the 3x3."""

    def __init__(self, inputs: int, width: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return y + (x if self.downsample is None else self.downsample(x))


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite (Tan and Le, 2019, without squeeze-and-excitation, with ReLU6), tensor names of timm.

    As in TensorFlow, where the weights come from, BatchNorm has eps 1e-3 and strided convolutions are padded "SAME".
    A block's output is linear by design, so the features are handed on as they are.
    """

    def __init__(self, config: BackboneConfig):
        super().__init__()
        self.conv_stem = SameConv2d(3, config.stem, 3, stride=2)
        self.bn1 = nn.BatchNorm2d(config.stem, eps=BN_EPS)
        inputs, stages, self.ends = config.stem, [], []
        for level in config.layers:
            for stage in level:
                blocks = []
                for b in range(stage.blocks):
                    stride = stage.stride if b == 0 else 1
                    block = DepthwiseSeparable if stage.expand == 1 else InvertedResidual
                    blocks.append(block(inputs, stage, stride))
                    inputs = stage.channels
                stages.append(nn.Sequential(*blocks))
            self.ends.append(len(stages) - 1)
        self.blocks = nn.Sequential(*stages)

    def forward(self, image: Tensor) -> list:
        x = F.relu6(self.bn1(self.conv_stem(image)))
        features = []
        for i, stage in enumerate(self.blocks):
            x = stage(x)
            if i in self.ends:
                features.append(x)
        return features


BN_EPS = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded as TensorFlow's "SAME": the odd pixel of padding goes right and below."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for side in (x.shape[3], x.shape[2]):
            outputs = -(-side // self.stride[0])
            total = max((outputs - 1) * self.stride[0] + self.kernel_size[0] - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, None, self.stride, 0, 1, self.groups)


class DepthwiseSeparable(nn.Module):
    """Depthwise, then linear 1x1: an inverted residual block that does not widen."""

    def __init__(self, inputs: int, stage, stride: int):
        super().__init__()
        self.residual = stride == 1 and inputs == stage.channels
        self.conv_dw = SameConv2d(inputs, inputs, stage.kernel, stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs, eps=BN_EPS)
        self.conv_pw = nn.Conv2d(inputs, stage.channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(stage.channels, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn1(self.conv_dw(x)))
        y = self.bn2(self.conv_pw(y))
        return y + x if self.residual else y


class InvertedResidual(nn.Module):
    """1x1 that widens, depthwise, then linear 1x1 that narrows."""

    def __init__(self, inputs: int, stage, stride: int):
        super().__init__()
        width = inputs * stage.expand
        self.residual = stride == 1 and inputs == stage.channels
        self.conv_pw = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width, eps=BN_EPS)
        self.conv_dw = SameConv2d(width, width, stage.kernel, stride, groups=width)
        self.bn2 = nn.BatchNorm2d(width, eps=BN_EPS)
        self.conv_pwl = nn.Conv2d(width, stage.channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(stage.channels, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.bn1(self.conv_pw(x)))
        y = F.relu6(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return y + x if self.residual else y
