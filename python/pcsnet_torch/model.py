"""The whole network (Jiang, Cao, Shen, "Prototypical Learning Guided Context-Aware Segmentation Network for Few-Shot
Anomaly Detection", IEEE TNNLS 2024), and the anomaly map made of its output."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcsnet_torch import backbone
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.decoder import Decoder, resize
from pcsnet_torch.descriptor import Adaptor, nearest_distances


class PCSNet(nn.Module):
    """Normalised image (N x 3 x S x S) -> map (N x 1 x S x S), before the blur.

    The three sets of tensors are `backbone` (frozen, common to all categories), `adaptor` and `cas` (trained per
    category).
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        config.validate()
        self.config = config
        self.backbone = backbone.build(config.backbone).requires_grad_(False)
        self.adaptor = Adaptor(config)
        self.cas = Decoder(config)

    def train(self, mode: bool = True) -> "PCSNet":
        """Sets the mode of the trained parts; the backbone always infers."""
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, image: Tensor) -> Tensor:
        phi = self.describe(image)
        return self.segment(phi, nearest_distances(phi, self.adaptor.C, self.config.nearest))

    def describe(self, image: Tensor) -> Tensor:
        """Descriptors phi, N x D x G x G."""
        with torch.no_grad():
            features = self.backbone(image)
        return self.adaptor.Descriptor(features)

    def segment(self, phi: Tensor, score: Tensor) -> Tensor:
        """Map (N x 1 x S x S) of descriptors and their nearest distances."""
        return resize(self.cas(phi[:, : self.config.guide], score), self.config.input)

    @torch.no_grad()
    def stages(self, image: Tensor) -> dict:
        """Every intermediate result by name, N first, in the order they are computed."""
        stages = {}
        features = self.backbone(image)
        stages.update((f"feature{k}", f) for k, f in enumerate(features, 1))
        phi = stages["descriptor"] = self.adaptor.Descriptor(features)
        score = stages["score"] = nearest_distances(phi, self.adaptor.C, self.config.nearest)
        stages.update(self.cas.stages(phi[:, : self.config.guide], score))
        stages["map"] = resize(stages["cas_logits64"], self.config.input)
        stages["blurred"] = blur(stages["map"])
        return stages

    @torch.no_grad()
    def anomaly_map(self, image: Tensor) -> Tensor:
        """Blurred map, N x 1 x S x S; the image's score is its maximum."""
        return blur(self(image))


SIGMA = 4.0
RADIUS = 16  # four sigma


def blur(maps: Tensor) -> Tensor:
    """Gaussian blur of N x 1 x H x W, as `scipy.ndimage.gaussian_filter(sigma=4)`: 33 taps, mirrored at the edges."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, dtype=torch.float64)
    taps = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    taps = (taps / taps.sum()).to(maps)
    maps = F.conv2d(maps[:, :, _mirrored(maps.shape[2]).to(maps.device)], taps.view(1, 1, -1, 1))
    return F.conv2d(maps[:, :, :, _mirrored(maps.shape[3]).to(maps.device)], taps.view(1, 1, 1, -1))


def _mirrored(side: int) -> Tensor:
    """Indices of a line extended by RADIUS at both ends, repeating the edge sample: d c b a | a b c d | d c b a."""
    index = torch.arange(-RADIUS, side + RADIUS) % (2 * side)
    return torch.where(index < side, index, 2 * side - 1 - index)
