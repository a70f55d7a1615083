"""Evaluation on a test set in the MVTec AD layout, beside baselines that need no training.

Methods: "prototypes", distance of the untrained features to the nearest of the shots' mean features; "patches", to the
nearest of as many single features of the shots, drawn at random; "distance", of the trained descriptor to its nearest
prototype; "network", the whole trained network. All maps are blurred alike.
"""

import functools
import operator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from pcsnet_torch import data
from pcsnet_torch.decoder import resize
from pcsnet_torch.descriptor import nearest_distances
from pcsnet_torch.metrics import PixelScores, auroc
from pcsnet_torch.model import PCSNet, blur
from pcsnet_torch.preprocess import load_input, load_mask

METHODS = ("prototypes", "patches", "distance", "network")


def untrained_descriptor(features: list, grid: int) -> Tensor:
    """The features as they are, averaged over 3x3, at one resolution: N x C x G x G."""
    return torch.cat([F.interpolate(F.avg_pool2d(f, 3, 1, 1), (grid, grid), mode="bilinear", align_corners=False)
                      for f in features], dim=1)


class Methods:
    """Maps of one image by every method."""

    @torch.no_grad()
    def __init__(self, model: PCSNet, shots: list, seed: int):
        """shots: the training images' features, three levels of N x C x H x W."""
        self.model, grid = model, model.config.grid
        phi = untrained_descriptor(shots, grid)
        self.prototypes = phi.mean(0).flatten(1)
        every = phi.transpose(0, 1).flatten(1)
        chosen = np.random.default_rng(seed).choice(every.shape[1], min(grid**2, every.shape[1]), replace=False)
        self.patches = every[:, torch.as_tensor(chosen).to(every.device)]

    @torch.no_grad()
    def maps(self, features: list) -> dict:
        """Blurred S x S maps of one image, by method; features: three levels of 1 x C x H x W."""
        model, config = self.model, self.model.config
        plain = untrained_descriptor(features, config.grid)
        phi = model.adaptor.Descriptor(features)
        score = nearest_distances(phi, model.adaptor.C, config.nearest)
        maps = {
            "prototypes": resize(nearest_distances(plain, self.prototypes, 1), config.input),
            "patches": resize(nearest_distances(plain, self.patches, 1), config.input),
            "distance": resize(score[:, :1], config.input),
            "network": model.segment(phi, score),
        }
        return {name: blur(m)[0, 0].cpu().numpy() for name, m in maps.items()}


@torch.no_grad()
def features_of(model: PCSNet, paths, fit: str, value_range=None):
    """Features of one image file after the other, three levels of 1 x C x H x W."""
    device = next(model.parameters()).device
    for path in paths:
        yield model.backbone(load_input(path, model.config, fit, value_range).to(device))


def evaluate(model: PCSNet, folder, fit: str, shots: int, seed: int, every: int = 1, value_range=None) -> list:
    """Rows of {"method", "defect", "images", then the metrics}; "all" stands for the whole test set.

    With `every` = n, only each nth test image is taken, for a quick look.
    """
    items = data.test_items(folder)[::every]
    shots = stacked(features_of(model, data.draw_shots(folder, shots, seed), fit, value_range))
    features = features_of(model, (item.path for item in items), fit, value_range)
    return compare(Methods(model, shots, seed), items, tqdm(features, "evaluating", len(items), unit="image"), fit)


def stacked(features) -> list:
    """Features of several images as one batch."""
    return [torch.cat(level) for level in zip(*features)]


def compare(methods: Methods, items: list, features, fit: str) -> list:
    """The rows of every method; features: those of the items, one after the other."""
    side = methods.model.config.input
    empty = np.zeros((side, side), bool)
    masks = [load_mask(item.masks, side, fit) if item.masks else empty for item in items]
    maps = {name: [] for name in METHODS}
    for levels in features:
        for name, m in methods.maps(levels).items():
            maps[name].append(m)
    defects = np.array([item.defect for item in items])
    return [row for name in METHODS for row in rows(name, np.stack(maps[name]), np.stack(masks), defects)]


def rows(method: str, maps: np.ndarray, masks: np.ndarray, defects: np.ndarray) -> list:
    """Metrics over all defects, then of each defect against the normal images. An image is abnormal by its folder,
    even where the crop left nothing of its defect."""
    kinds = sorted(set(defects) - {"good"})
    good, *pixels = (PixelScores.of(maps[defects == kind], masks[defects == kind]) for kind in ["good", *kinds])
    sets = [("all", functools.reduce(operator.add, pixels, good))]
    sets += [(kind, good + scores) for kind, scores in zip(kinds, pixels)]
    found = []
    for defect, scores in sets:
        chosen = (defects == "good") | (defects == defect) | (defect == "all")
        found.append({"method": method, "defect": defect, "images": int(chosen.sum()),
                      "image AUROC": auroc(maps[chosen].max((1, 2)), defects[chosen] != "good"),
                      "pixel AUROC": scores.auroc(), "AUPRO": scores.aupro()})
    return found


def table(rows: list) -> str:
    """The rows as a Markdown table."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = (f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
