"""Prototypical feature adaption (PFA, section III-B of the paper): features -> descriptors -> prototype distances."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcsnet_torch.config import ModelConfig


class Adaptor(nn.Module):
    """The trained descriptor and the prototypes `C` (D x P)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.Descriptor = Descriptor(config)
        self.register_buffer("C", torch.zeros(config.descriptor_channels, config.prototypes))


class Descriptor(nn.Module):
    """Three feature levels -> phi, N x D x G x G."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.grid = config.grid
        self.rotation = config.descriptor == "rotation"
        for level, (inputs, channels) in enumerate(zip(config.backbone.channels, config.level_channels)):
            if self.rotation:
                # The authors' names carry no suffix at level 1, `_1` at level 2 and `_2` at level 3.
                suffix = f"_{level}" if level else ""
                setattr(self, f"conv1{suffix}", nn.Conv2d(inputs, channels, 1, bias=False))
                setattr(self, f"bn1{suffix}", nn.BatchNorm2d(channels))
                setattr(self, f"conv2{suffix}", nn.Conv2d(channels, channels, 1, bias=False))
                setattr(self, f"bn2{suffix}", nn.BatchNorm2d(channels))
                setattr(self, f"conv3{suffix}", nn.Conv2d(channels, channels, 1, bias=False))
            setattr(self, f"layer_{level + 1}", CoordConv(channels))

    def forward(self, features: list) -> Tensor:
        levels = []
        for level, x in enumerate(features):
            if self.rotation:
                x = self._narrow(x, f"_{level}" if level else "")
            x = F.avg_pool2d(x, 3, stride=1, padding=1)
            x = getattr(self, f"layer_{level + 1}")(x)
            levels.append(F.interpolate(x, (self.grid, self.grid), mode="bilinear", align_corners=False))
        return torch.cat(levels, dim=1)

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Makes phi the averaged features themselves; of a rotation descriptor, the narrowed ones."""
        for level in (1, 2, 3):
            getattr(self, f"layer_{level}").start_as_identity()

    def _narrow(self, x: Tensor, suffix: str) -> Tensor:
        def part(name):
            return getattr(self, f"{name}{suffix}")
        x = F.relu(part("bn1")(part("conv1")(x)))
        x = F.relu(part("bn2")(part("conv2")(x)))
        return part("conv3")(x)


class CoordConv(nn.Module):
    """1x1 convolution of the input and two more channels: the row, then the column coordinate, from -1 to 1
    (Liu et al., "An intriguing failing of convolutional neural networks and the CoordConv solution", 2018)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels + 2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (torch.arange(side, dtype=x.dtype, device=x.device) for side in x.shape[2:])
        y = (2 * rows / max(x.shape[2] - 1, 1) - 1).view(1, 1, -1, 1).expand(x.shape[0], 1, *x.shape[2:])
        z = (2 * columns / max(x.shape[3] - 1, 1) - 1).view(1, 1, 1, -1).expand(x.shape[0], 1, *x.shape[2:])
        return self.conv(torch.cat([x, y, z], dim=1))

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Hands the input on; the coordinates do not count yet."""
        channels = self.conv.weight.shape[0]
        self.conv.weight.zero_()
        self.conv.weight[:, :channels, 0, 0] = torch.eye(channels)
        self.conv.bias.zero_()


def nearest_distances(phi: Tensor, prototypes: Tensor, k: int, excluded: Optional[Tensor] = None) -> Tensor:
    """The k smallest Euclidean distances of each position to the prototypes, ascending.

    phi: N x D x G x G, prototypes: D x P -> N x k x G x G. excluded: N x P bool, prototypes an image is not compared
    with; at least k must remain.
    """
    n, _, rows, columns = phi.shape
    nearest = NearestSquares.apply(phi.flatten(2).transpose(1, 2).contiguous(), prototypes, k, excluded)
    # Rounding can leave a radicand at or below 0, where the root's gradient is infinite: such distances are 0, and
    # so are their gradients.
    positive = nearest > 0
    distances = torch.where(positive, nearest, torch.ones_like(nearest)).sqrt() * positive
    return distances.transpose(1, 2).reshape(n, k, rows, columns)


class NearestSquares(torch.autograd.Function):
    """Points (N x M x D), fixed prototypes (D x P) -> the k smallest squared distances, ascending (N x M x k).

    Only k of the P distances of a point have a gradient. PyTorch's own backward pass would spread them over a zero
    M x P matrix and multiply it out; summing k weighted prototypes per point is 20 times less work at k = 200.
    """

    @staticmethod
    def forward(ctx, points, prototypes, k, excluded=None):
        # |point|^2 shifts all distances of a point alike, so it is added to the k chosen ones only.
        shifted = torch.baddbmm(prototypes.square().sum(0), points, prototypes.expand(len(points), -1, -1), alpha=-2)
        if excluded is not None:
            shifted.masked_fill_(excluded.unsqueeze(1), float("inf"))
        if k == 1:  # much faster than a general selection
            values, indices = shifted.min(dim=2, keepdim=True)
        else:
            values, indices = shifted.topk(k, dim=2, largest=False, sorted=True)
        ctx.save_for_backward(points, prototypes, indices)
        return values + points.square().sum(2, keepdim=True)

    @staticmethod
    def backward(ctx, gradient):
        points, prototypes, indices = ctx.saved_tensors
        k = indices.shape[2]
        sums = F.embedding_bag(indices.reshape(-1, k), prototypes.t().contiguous(), mode="sum",
                               per_sample_weights=gradient.reshape(-1, k).contiguous())
        return 2 * (points * gradient.sum(2, keepdim=True) - sums.view_as(points)), None, None, None
