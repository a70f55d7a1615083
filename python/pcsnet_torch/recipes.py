"""How a network is trained: what its prototypes are, where training starts, and what a step's losses are.

"paper" is the paper's recipe (section IV-A), "authors" differs in the AFS loss, which it takes as the authors' code
computes it. "held-out" is ours, and the default. It differs from theirs in what keeps few-shot training from beating
plain distances:

* Prototypes are single descriptors of the shots, chosen to cover them all (a coreset), not their mean.
* A shot is never compared with prototypes of its own. It keeps as far from the others' as an unseen image will.
* Descriptor and decoder start as identities, so that the first map is the distance to the nearest prototype.
* Distances are scaled to about 1, and AFS's margin lies beyond that. With the paper's, 0.04, AFS is 0 throughout, and
  NFC and PDC alone only shrink the descriptor.
* Pseudo-anomalies are of many kinds and sizes, every image comes shifted and of other brightness, SEG gives a defect's
  pixels the weight of all others, and rates fall to 0.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pcsnet_torch import anomalies, losses, prototypes
from pcsnet_torch.descriptor import nearest_distances
from pcsnet_torch.errors import PcsnetError


class Paper:
    """The paper's recipe; 50 passes over the shots, constant rates."""

    epochs, adaptor_rate, cas_rate = 50, 1e-3, 1e-4

    def prepare(self, trainer) -> None:
        config = trainer.model.config
        if config.prototypes != config.grid**2:
            raise PcsnetError(f"this recipe makes one prototype per position: {config.grid**2}, not "
                              f"{config.prototypes}")
        self.anomalies = anomalies.of_category(trainer.settings.category)
        with torch.no_grad():
            self.normal = trainer.features(trainer.pixels)  # frozen backbone, few shots: computed once
            trainer.model.adaptor.C.copy_(trainer.describe(self.normal).mean(0).flatten(1))

    def rate(self, progress: float) -> float:
        """Factor of the learning rates; progress from 0 to 1."""
        return 1.0

    def batches(self, shots: int, size: int, rng) -> list:
        order = rng.permutation(shots)
        return [order[i : i + size] for i in range(0, shots - size + 1, size)]  # a last, odd one is dropped

    def terms(self, trainer, chosen, rng) -> dict:
        """The four losses of a batch of shots, by name."""
        model, C = trainer.model, trainer.model.adaptor.C
        normal = [f[torch.as_tensor(chosen)] for f in self.normal]
        copies, masks = zip(*(anomalies.make(trainer.pixels[i], self.anomalies, rng) for i in chosen))
        abnormal, masks = trainer.features(copies), trainer.masks(masks)

        # Half of the mixed batch, rounded up, shows its pseudo-anomalies.
        replaced = torch.zeros(len(chosen), device=trainer.device)
        replaced[torch.as_tensor(rng.permutation(len(chosen))[: (len(chosen) + 1) // 2])] = 1
        pick = replaced.view(-1, 1, 1, 1)
        mixed = trainer.describe([torch.where(pick > 0, a, n) for n, a in zip(normal, abnormal)])
        score = nearest_distances(mixed, C, model.config.nearest)
        maps = model.segment(mixed, score)

        return {
            "NFC": losses.compactness(nearest_distances(trainer.describe(normal), C, 3), trainer.r),
            "AFS": self.separation(trainer, trainer.describe(abnormal), masks),
            "PDC": losses.disparity(score[:, :3], replaced),
            "SEG": losses.segmentation(maps, masks * pick),
        }

    def separation(self, trainer, phi: Tensor, masks: Tensor) -> Tensor:
        mask = on_grid(masks, trainer.model.config.grid)
        return losses.separation(nearest_distances(phi, trainer.model.adaptor.C, 3), mask, trainer.r)


class Authors(Paper):
    """The paper's recipe with AFS as the authors' code computes it."""

    def separation(self, trainer, phi: Tensor, masks: Tensor) -> Tensor:
        mask = F.interpolate(masks, trainer.model.config.grid, mode="bilinear", align_corners=False)
        distances = prototypes.all_distances(phi, trainer.model.adaptor.C)
        return losses.separation_as_coded(distances, mask, trainer.r)


class HeldOut:
    """Ours; an epoch is STEPS batches, whatever the number of shots."""

    epochs, adaptor_rate, cas_rate = 8, 1e-3, 1e-4
    STEPS = 8
    MARGIN = 1.6  # alpha, where normal distances are about 1
    COPIES = 3  # pseudo-anomalous copies of each shot that the decoder's first map is fitted to

    @torch.no_grad()
    def prepare(self, trainer) -> None:
        model, count = trainer.model, len(trainer.pixels)
        config = model.config
        trainer.scale_features()
        model.adaptor.Descriptor.start_as_identity()
        phi = trainer.describe(trainer.features(trainer.pixels))
        if config.prototypes > count * config.grid**2:
            raise PcsnetError(f"{config.prototypes} prototypes, but {count} shots have {count * config.grid**2} "
                              "positions only")
        rng = np.random.default_rng(trainer.settings.seed)
        C, self.owner = prototypes.coreset(phi, config.prototypes, rng)
        fewest = int((self.owner != torch.arange(count, device=C.device).view(-1, 1)).sum(1).min())
        if fewest < config.nearest:
            raise PcsnetError(f"{config.nearest} nearest distances, but without its own a shot is left with {fewest} "
                              f"prototypes; keep fewer distances, or more prototypes than {config.prototypes}")
        distance = nearest_distances(phi, C, 1, self.own(range(count))).mean()
        trainer.scales = [s / distance for s in trainer.scales]
        model.adaptor.C.copy_(C / distance)
        model.cas.start_from_distance(*self.first_fit(trainer, rng))
        model.cas.cls[2].p = 0  # dropping whole channels would drop the distance itself

    def own(self, shots) -> Tensor:
        """Which prototypes stem from each of some shots: N x P bool."""
        return self.owner == torch.as_tensor(np.array(shots), device=self.owner.device).view(-1, 1)

    def first_fit(self, trainer, rng) -> tuple:
        """(slope, offset) of the line through distances that is nearest to the masks of pseudo-anomalies, normal and
        abnormal positions weighing the same."""
        shots = np.repeat(np.arange(len(trainer.pixels)), self.COPIES)
        copies, masks = zip(*(anomalies.make_varied(trainer.pixels[i], rng) for i in shots))
        phi = trainer.describe(trainer.features(copies))
        x = nearest_distances(phi, trainer.model.adaptor.C, 1, self.own(shots))
        y = on_grid(trainer.masks(masks), trainer.model.config.grid)
        if not y.any() or y.all():
            return 1.0, -1.0
        normal, abnormal = x[~y], x[y]
        gap = abnormal.mean() - normal.mean()
        spread = (normal.var(unbiased=False) + abnormal.var(unbiased=False)) / 2 + gap**2 / 4
        slope = float((gap / 4 / spread).clamp_min(0.05))  # of the regression; more distance is never less anomalous
        return slope, 0.5 - slope * float(normal.mean() + abnormal.mean()) / 2

    def rate(self, progress: float) -> float:
        return 0.5 * (1 + math.cos(math.pi * progress))

    def batches(self, shots: int, size: int, rng) -> list:
        return [rng.choice(shots, size, replace=False) for _ in range(self.STEPS)]

    def terms(self, trainer, chosen, rng) -> dict:
        """The four losses of a batch of shots and as many pseudo-anomalous copies, by name."""
        model, count = trainer.model, len(chosen)
        normal = [anomalies.augment(trainer.pixels[i], rng) for i in chosen]
        abnormal, masks = zip(*(anomalies.make_varied(p, rng) for p in normal))
        masks = trainer.masks(masks)
        phi = trainer.describe(trainer.features([*normal, *abnormal]))
        score = nearest_distances(phi, model.adaptor.C, model.config.nearest, self.own([*chosen, *chosen]))
        maps = model.segment(phi, score)
        nearest = score[:, :3]
        is_copy = torch.arange(2 * count, device=trainer.device) >= count
        mask = on_grid(masks, model.config.grid)
        return {
            "NFC": losses.compactness(nearest[:count], trainer.r),
            "AFS": losses.separation(nearest[count:], mask, trainer.r, self.MARGIN),
            "PDC": losses.disparity(nearest, is_copy.float()) / count,
            "SEG": losses.balanced_segmentation(maps, torch.cat([torch.zeros_like(masks), masks])),
        }


def on_grid(masks: Tensor, grid: int) -> Tensor:
    """Masks (N x 1 x S x S) at the positions' resolution, bool."""
    return F.interpolate(masks, (grid, grid), mode="nearest-exact") > 0


RECIPES = {"held-out": HeldOut, "paper": Paper, "authors": Authors}
