"""What inspection is measured by. Higher scores mean more anomalous; 0.5 is chance for AUROC, 1 perfect for all."""

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


def aupro(maps: np.ndarray, masks: np.ndarray) -> float:
    """Area under the per-region overlap (Bergmann et al., MVTec AD, IJCV 2021): maps and bool masks, N x H x W.

    The mean overlap over the 8-connected true regions against the false-positive rate, from 0 to 0.3, over 0.3. The
    thresholds are those of 200 false-positive rates, evenly spaced; NaN where there is no region or no background.
    """
    normal = np.sort(maps[~masks])
    regions = [np.sort(m[labels == k]) for m, mask in zip(maps, masks) if mask.any()
               for labels in [label(mask, connectivity=2)] for k in range(1, labels.max() + 1)]
    if not regions or normal.size == 0:
        return float("nan")
    # A pixel is called anomalous above the threshold: with the threshold normal[-1 - n], at most n normal pixels are.
    calls = np.round(np.linspace(0, FPR_LIMIT, THRESHOLDS) * normal.size).astype(int)
    calls = np.unique(calls.clip(max=normal.size - 1))
    thresholds = normal[normal.size - 1 - calls]
    rates = _share_above(normal, thresholds)
    overlaps = np.mean([_share_above(region, thresholds) for region in regions], axis=0)
    # Ties can keep a rate below its call; the last point is carried on to the limit.
    rates, overlaps = np.append(rates, FPR_LIMIT), np.append(overlaps, overlaps[-1])
    return float(np.sum(np.diff(rates) * (overlaps[1:] + overlaps[:-1]) / 2) / FPR_LIMIT)


def _share_above(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of sorted values above each threshold."""
    return 1 - np.searchsorted(values, thresholds, side="right") / values.size

