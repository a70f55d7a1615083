"""The four losses of section III of the paper. `r` is the learned radius of the prototypes' neighbourhoods.

Distances `d` are N x 3 x G x G: the three smallest of each position, as `nearest_distances` gives them.
"""

import torch.nn.functional as F
from torch import Tensor

ALPHA = 0.2  # margin between normal and abnormal
NU = 1e-3
HARDEST = 50  # largest distances that stand for an image
WEIGHTS = {"NFC": 1, "AFS": 1, "PDC": 50, "SEG": 40}


def compactness(d: Tensor, r: Tensor) -> Tensor:
    """NFC: normal features lie within r^2 of their prototypes."""
    return F.relu(d - r**2).mean() / NU


def separation(d: Tensor, mask: Tensor, r: Tensor, alpha: float = ALPHA) -> Tensor:
    """AFS as the paper means it: positions under the mask (N x 1 x G x G bool) lie beyond (r + alpha)^2."""
    masked = d[mask.expand_as(d)]
    if masked.numel() == 0:
        return d.sum() * 0
    return F.relu((r + alpha) ** 2 - masked).mean() / NU


def separation_as_coded(distances: Tensor, mask: Tensor, r: Tensor) -> Tensor:
    """AFS as the authors' code computes it: distances of all P prototypes (N x P x G x G), multiplied by the mask, of
    which the three smallest along each ROW of positions count. Most are the zeros outside the mask."""
    smallest = (distances * mask).topk(3, dim=3, largest=False).values
    return F.relu((r + ALPHA) ** 2 - smallest).mean() / NU


def disparity(d: Tensor, abnormal: Tensor) -> Tensor:
    """PDC: of a batch's images, the abnormal ones (N, 1 or 0) have the largest distances; softmax over the batch."""
    hardest = d.flatten(1).topk(min(HARDEST, d[0].numel()), dim=1).values.mean(1)
    return -(abnormal * F.log_softmax(hardest, dim=0)).sum()


def segmentation(maps: Tensor, masks: Tensor) -> Tensor:
    """SEG: mean squared error of the map against the mask, both N x 1 x S x S."""
    return F.mse_loss(maps, masks)


def balanced_segmentation(maps: Tensor, masks: Tensor) -> Tensor:
    """The squared error's mean over the defects' pixels plus its mean over all others, so that small defects count."""
    error = (maps - masks).square()
    sound = 1 - masks
    return (error * masks).sum() / masks.sum().clamp_min(1) + (error * sound).sum() / sound.sum().clamp_min(1)


def total(terms: dict) -> Tensor:
    return sum(WEIGHTS[name] * term for name, term in terms.items())
