"""The context-aware segmentation (CAS) decoder, section III-C of the paper; tensor names of the authors."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pcsnet_torch.config import ModelConfig


class Decoder(nn.Module):
    """Guide (N x guide x G x G) and score (N x K x G x G) -> logits (N x 1 x G x G)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        width, self.bins, self.nearest = config.width, config.bins, config.nearest
        self.corr_conv = nn.ModuleList(_conv1(config.guide + config.nearest, width) for _ in self.bins)
        self.alpha_conv = nn.ModuleList(_conv1(2 * width, width) for _ in self.bins[1:])
        self.beta_conv = nn.ModuleList(_two_conv3(width) for _ in self.bins)
        self.res1 = _conv1(len(self.bins) * width, width)
        self.res2 = _two_conv3(width)
        self.cls = nn.Sequential(_conv3(width), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(width, 1, 1))

    def forward(self, guide: Tensor, score: Tensor) -> Tensor:
        return self.stages(guide, score)["cas_logits64"]

    def stages(self, guide: Tensor, score: Tensor) -> dict:
        """Every intermediate result by name; `cas_bin{n}` is bin n's output at its own resolution."""
        stages, levels = {}, []
        for n, side in enumerate(self.bins):
            pooled = F.adaptive_avg_pool2d(guide, side)
            m = self.corr_conv[n](torch.cat([pooled, resize(score, side)], dim=1))
            if n > 0:
                m = self.alpha_conv[n - 1](torch.cat([m, resize(levels[-1], side)], dim=1)) + m
            m = self.beta_conv[n](m) + m
            stages[f"cas_bin{n}"] = m
            levels.append(resize(m, guide.shape[2]))
        f = stages["cas_res1"] = self.res1(torch.cat(levels, dim=1))
        f = stages["cas_final"] = self.res2(f) + f
        stages["cas_logits64"] = self.cls(f)
        return stages

    @torch.no_grad()
    def start_from_distance(self, slope: float, offset: float) -> None:
        """Makes the logits `slope * distance to the nearest prototype + offset`, so that training starts from what the
        distance alone knows instead of from noise.

        The distance travels in channel 0: past the residual branches, which add nothing to it, and through the finest
        bin alone. The last convolution reads no other channel yet; the others keep PyTorch's initialisation.
        """
        for conv in self.corr_conv:
            guide = conv[0].weight.shape[1] - self.nearest
            conv[0].weight[0] = 0
            conv[0].weight[0, guide] = 1
        # Distances are never negative, so every ReLU lets them pass.
        for last in [*(conv[0] for conv in self.alpha_conv), *(conv[2] for conv in self.beta_conv), self.res2[2]]:
            last.weight[0] = 0
        self.res1[0].weight[0] = 0
        self.res1[0].weight[0, 0] = 1
        self.cls[0].weight[0] = 0
        self.cls[0].weight[0, 0, 1, 1] = 1
        self.cls[3].weight.zero_()
        self.cls[3].weight[0, 0] = slope
        self.cls[3].bias.fill_(offset)


def resize(x: Tensor, side: int) -> Tensor:
    """Bilinear resize to side x side, corners aligned."""
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=True)


def _conv1(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.ReLU())


def _conv3(width: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, padding=1, bias=False)


def _two_conv3(width: int) -> nn.Sequential:
    return nn.Sequential(_conv3(width), nn.ReLU(), _conv3(width), nn.ReLU())
