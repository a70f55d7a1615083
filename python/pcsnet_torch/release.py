"""A trained model -> the file to ship: float16, with a threshold for its scores and a scale for its maps' colours."""

import json

import numpy as np
from tqdm import tqdm

from pcsnet_torch import bundle, data
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.preprocess import load_input, stored_range

FEWEST = 5


def release(models: list, folder, out) -> dict:
    """Joins the model's files, rounds to float16 and calibrates the result on the folder's normal images, without
    those it was trained on; returns what was added to the metadata."""
    model, metadata = bundle.load(models)
    shots = json.loads(metadata.get("pcsnet.training", "{}")).get("images", [])
    held_back = [path for path in data.normal_images(folder) if path.name not in shots]
    if len(held_back) < FEWEST:
        raise PcsnetError(f"{folder}: holds {len(held_back)} normal images that the model was not trained on, give "
                          f"{FEWEST} or more to calibrate with")
    metadata = {key: value for key, value in metadata.items() if key.startswith("pcsnet.") and key != "pcsnet.config"}
    bundle.save(out, model, metadata, half=True)
    rounded, _ = bundle.load(out)
    fit, value_range = metadata.get("pcsnet.fit", "crop"), stored_range(metadata)
    maps = np.stack([rounded.anomaly_map(load_input(path, rounded.config, fit, value_range))[0, 0].numpy()
                     for path in tqdm(held_back, "calibrating", unit="image")])
    added = calibration(maps)
    bundle.save(out, model, {**metadata, **added}, half=True)
    return added


def calibration(maps: np.ndarray) -> dict:
    """Threshold and colour scale, and how they came about, from the blurred maps (N x S x S) of normal images."""
    scores = maps.max((1, 2))
    threshold = scores.mean() + 3 * scores.std(ddof=1)
    low = np.median(maps)
    return {
        "pcsnet.threshold": f"{threshold:.6g}",
        "pcsnet.threshold_rule": f"mean + 3 standard deviations of the image scores of {len(maps)} normal images held "
                                 "back from training; no defect was looked at",
        "pcsnet.scale": f"{low:.6g},{2 * threshold - low:.6g}",
        "pcsnet.scale_rule": "low: median of the maps of those images; high: as far above the threshold as low is "
                             "below it",
    }
