"""What inspection is measured by. Higher scores mean more anomalous; 0.5 is chance for AUROC, 1 perfect for all."""

from dataclasses import dataclass

import numpy as np
from skimage.measure import label
from sklearn.metrics import roc_auc_score

FPR_LIMIT = 0.3
THRESHOLDS = 200


def auroc(scores, abnormal) -> float:
    """Area under the receiver operating characteristic; NaN where only one class is present."""
    abnormal = np.asarray(abnormal, bool).ravel()
    if abnormal.all() or not abnormal.any():
        return float("nan")
    return float(roc_auc_score(abnormal, np.asarray(scores).ravel()))


@dataclass(frozen=True)
class PixelScores:
    """The pixels' scores of some maps: those of normal pixels and of each 8-connected true region, all sorted."""

    normal: np.ndarray
    regions: tuple

    @classmethod
    def of(cls, maps, masks) -> "PixelScores":
        """maps and bool masks: N x H x W, or sequences of H x W."""
        normal = np.sort(np.concatenate([m[~mask] for m, mask in zip(maps, masks)]))
        return cls(normal, tuple(np.sort(m[labels == k]) for m, mask in zip(maps, masks) if mask.any()
                                 for labels in [label(mask, connectivity=2)] for k in range(1, labels.max() + 1)))

    def __add__(self, other: "PixelScores") -> "PixelScores":
        # A stable sort merges sorted runs in one pass.
        normal = np.sort(np.concatenate([self.normal, other.normal]), kind="stable")
        return PixelScores(normal, self.regions + other.regions)

    def auroc(self) -> float:
        """Share of the pairs of a normal and an abnormal pixel in which the abnormal one scores higher, ties half."""
        if not self.regions or self.normal.size == 0:
            return float("nan")
        abnormal = np.concatenate(self.regions)
        below = sum(np.searchsorted(self.normal, abnormal, side=side).sum() for side in ("left", "right")) / 2
        return float(below / abnormal.size / self.normal.size)

    def aupro(self) -> float:
        """Area under the per-region overlap (Bergmann et al., MVTec AD, IJCV 2021).

        The mean overlap over the true regions against the false-positive rate, from 0 to 0.3, over 0.3. The thresholds
        are those of 200 false-positive rates, evenly spaced; NaN where there is no region or no background.
        """
        if not self.regions or self.normal.size == 0:
            return float("nan")
        # A pixel is called anomalous above the threshold: with the threshold normal[-1 - n], at most n normal ones are.
        calls = np.round(np.linspace(0, FPR_LIMIT, THRESHOLDS) * self.normal.size).astype(int)
        calls = np.unique(calls.clip(max=self.normal.size - 1))
        thresholds = self.normal[self.normal.size - 1 - calls]
        rates = _share_above(self.normal, thresholds)
        overlaps = np.mean([_share_above(region, thresholds) for region in self.regions], axis=0)
        # Ties can keep a rate below its call; the last point is carried on to the limit.
        rates, overlaps = np.append(rates, FPR_LIMIT), np.append(overlaps, overlaps[-1])
        return float(np.sum(np.diff(rates) * (overlaps[1:] + overlaps[:-1]) / 2) / FPR_LIMIT)


def _share_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of sorted values above each threshold."""
    return 1 - np.searchsorted(values, thresholds, side="right") / values.size
