"""Evaluation on a test set in the MVTec AD layout, beside baselines that need no training.

Methods: "prototypes", distance of the untrained features to the nearest of the shots' mean features; "patches", to the
nearest of as many single features of the shots, drawn at random; "distance", of the trained descriptor to its nearest
prototype; "network", the whole trained network. All maps are blurred alike.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from pcsnet import data, metrics
from pcsnet.decoder import resize
from pcsnet.descriptor import nearest_distances
from pcsnet.model import PCSNet, blur
from pcsnet.preprocess import load_input, load_mask

METHODS = ("prototypes", "patches", "distance", "network")


def untrained_descriptor(features: list, grid: int) -> Tensor:
    """The features as they are, averaged over 3x3, at one resolution: N x C x G x G."""
    return torch.cat([F.interpolate(F.avg_pool2d(f, 3, 1, 1), (grid, grid), mode="bilinear", align_corners=False)
                      for f in features], dim=1)


class Methods:
    """Maps of one image by every method."""

    @torch.no_grad()
    def __init__(self, model: PCSNet, shots: Tensor, seed: int):
        """shots: the training images as network inputs, N x 3 x S x S."""
        self.model, grid = model, model.config.grid
        features = [model.backbone(x[None]) for x in shots]
        phi = torch.cat([untrained_descriptor(f, grid) for f in features])
        self.prototypes = phi.mean(0).flatten(1)
        every = phi.transpose(0, 1).flatten(1)
        chosen = np.random.default_rng(seed).choice(every.shape[1], min(grid**2, every.shape[1]), replace=False)
        self.patches = every[:, torch.as_tensor(chosen).to(every.device)]

    @torch.no_grad()
    def maps(self, image: Tensor) -> dict:
        """Blurred S x S maps of one image (1 x 3 x S x S) by method."""
        model, config = self.model, self.model.config
        features = model.backbone(image)
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


def evaluate(model: PCSNet, folder, fit: str, shots: int, seed: int, every: int = 1) -> list:
    """Rows of {"method", "defect", "images", then the metrics}; "all" stands for the whole test set.

    With `every` = n, only each nth test image is taken, for a quick look.
    """
    items = data.test_items(folder)[::every]
    paths = data.draw_shots(folder, shots, seed)
    device = next(model.parameters()).device
    def load(path):
        return load_input(path, model.config, fit).to(device)
    methods = Methods(model, torch.cat([load(path) for path in paths]), seed)
    side = model.config.input
    empty = np.zeros((side, side), bool)
    masks = np.stack([load_mask(item.mask, side, fit) if item.mask else empty for item in items])
    maps = {name: [] for name in METHODS}
    for item in tqdm(items, desc="evaluating", unit="image"):
        for name, m in methods.maps(load(item.path)).items():
            maps[name].append(m)
    defects = np.array([item.defect for item in items])
    return [row for name in METHODS for row in rows(name, np.stack(maps[name]), masks, defects)]


def rows(method: str, maps: np.ndarray, masks: np.ndarray, defects: np.ndarray) -> list:
    """Metrics over all defects, then of each defect against the normal images. An image is abnormal by its folder,
    even where the crop left nothing of its defect."""
    found = []
    for defect in ["all", *sorted(set(defects) - {"good"})]:
        chosen = (defects == "good") | (defects == defect) | (defect == "all")
        abnormal = defects[chosen] != "good"
        row = {"method": method, "defect": defect, "images": int(chosen.sum())}
        row["image AUROC"] = metrics.auroc(maps[chosen].max((1, 2)), abnormal)
        row["pixel AUROC"] = metrics.auroc(maps[chosen], masks[chosen])
        row["AUPRO"] = metrics.aupro(maps[chosen], masks[chosen])
        found.append(row)
    return found


def table(rows: list) -> str:
    """The rows as a Markdown table."""
    heads = list(rows[0])
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in rows:
        cells = (f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
