"""Prototypes chosen among descriptors, and all distances to them."""

import numpy as np
import torch
from torch import Tensor

CANDIDATES = 30_000  # at most so many descriptors, drawn at random, are chosen from
PROJECTED = 48  # distances between candidates are measured in a random projection of so many dimensions


def coreset(phi: Tensor, count: int, rng: np.random.Generator) -> tuple:
    """`count` descriptors that cover all of phi (N x D x G x G) best, and the image each is from: D x count, count.

    Greedy k-centre selection, as in PatchCore (Roth et al., CVPR 2022): each next one is the farthest from all chosen.
    """
    points = phi.permute(0, 2, 3, 1).flatten(0, 2)
    pool = rng.choice(len(points), min(max(CANDIDATES, count), len(points)), replace=False)
    pool = torch.as_tensor(pool, device=phi.device)
    projection = torch.from_numpy(rng.standard_normal((points.shape[1], PROJECTED))).to(points)
    candidates = points[pool] @ projection
    chosen = [0]
    distances = (candidates - candidates[0]).square().sum(1)
    while len(chosen) < count:
        farthest = int(distances.argmax())
        chosen.append(farthest)
        distances = torch.minimum(distances, (candidates - candidates[farthest]).square().sum(1))
    index = pool[torch.as_tensor(chosen, device=phi.device)]
    return points[index].t().contiguous(), index // (phi.shape[2] * phi.shape[3])


def all_distances(phi: Tensor, prototypes: Tensor) -> Tensor:
    """Distances to every prototype, in the prototypes' order: N x P x G x G."""
    squares = phi.square().sum(1, keepdim=True) + prototypes.square().sum(0).view(1, -1, 1, 1)
    squares = squares - 2 * torch.einsum("dp,ndyx->npyx", prototypes, phi)
    return squares.clamp_min(1e-12).sqrt()
