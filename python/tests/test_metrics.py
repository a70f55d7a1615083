"""Metrics against scikit-learn, and against the definition computed threshold by threshold."""

import math

import numpy as np
import pytest
from skimage.measure import label
from sklearn.metrics import auc, roc_auc_score

from pcsnet_torch import metrics


def test_auroc_by_hand():
    # Of four pairs (normal, abnormal), three are ordered rightly.
    assert metrics.auroc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert math.isnan(metrics.auroc([1, 2], [1, 1]))


def scene(seed, sharpness):
    rng = np.random.default_rng(seed)
    masks = np.zeros((3, 40, 40), bool)
    masks[0, 5:9, 5:12] = masks[0, 20:35, 20:30] = masks[1, 1:3, 30:39] = True
    masks[1, 3, 29] = True  # touches the region before by a corner: 8-connected, one region
    return rng.normal(size=masks.shape) + sharpness * masks, masks


def brute_force(maps, masks):
    """Every distinct score as a threshold."""
    regions = [(i, k, labels) for i, m in enumerate(masks) for labels in [label(m, connectivity=2)]
               for k in range(1, labels.max() + 1)]
    assert len(regions) == 3
    rates, overlaps = [], []
    for t in np.sort(maps.ravel())[::-1]:
        rates.append((maps[~masks] > t).mean())
        overlaps.append(np.mean([(maps[i][labels == k] > t).mean() for i, k, labels in regions]))
        if rates[-1] > 0.3:
            break
    rates, overlaps = np.array(rates), np.array(overlaps)
    at = np.interp(0.3, rates, overlaps)
    inside = rates < 0.3
    return auc(np.append(rates[inside], 0.3), np.append(overlaps[inside], at)) / 0.3


@pytest.mark.parametrize("sharpness", [0, 1, 3])
def test_aupro_is_the_definitions(sharpness):
    maps, masks = scene(4, sharpness)
    assert metrics.PixelScores.of(maps, masks).aupro() == pytest.approx(brute_force(maps, masks), abs=0.005)


def test_pixel_auroc_is_scikit_learns():
    maps, masks = scene(2, 1)
    maps = maps.round(1)  # with ties
    scores = metrics.PixelScores.of(maps, masks)
    assert scores.auroc() == pytest.approx(roc_auc_score(masks.ravel(), maps.ravel()), abs=1e-12)
    parts = metrics.PixelScores.of(maps[:1], masks[:1]) + metrics.PixelScores.of(maps[1:], masks[1:])
    assert (parts.auroc(), parts.aupro()) == (scores.auroc(), scores.aupro())


def test_aupro_extremes():
    _, masks = scene(0, 0)
    assert metrics.PixelScores.of(masks.astype(float), masks).aupro() == 1
    assert metrics.PixelScores.of(1 - masks.astype(float), masks).aupro() == 0
    assert math.isnan(metrics.PixelScores.of(np.zeros(masks.shape), masks & False).aupro())
