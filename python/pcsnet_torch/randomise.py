"""Random weights of any configuration, the same on every machine: they check arithmetic, not accuracy.

Every tensor is drawn from a PCG64 stream seeded by SHA-256 of "<seed>/<tensor name>", scaled so that activations
neither vanish nor explode.
"""

import hashlib
import re

import numpy as np
import torch

from pcsnet_torch.bundle import is_ignored
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.model import PCSNet

# The first pattern that matches a tensor's name gives its gain; 1 for all others.
GAINS = (
    (r"downsample\.0|corr_conv|alpha_conv|layer_\d\.conv", 0.7),
    (r"(beta_conv\.\d+|res2)\.2\.", 0.5),
    (r"cas\.cls\.3\.", 0.2),
)
LAST_NORM_GAIN = 0.4  # of a block's last BatchNorm, so that residual sums do not grow


def random_model(config: ModelConfig, seed: int) -> PCSNet:
    """A network of random weights; its prototypes are the descriptors of two random images, averaged."""
    model = PCSNet(config).eval()
    last_norms = _last_norms(model)
    weights = {name: torch.from_numpy(_draw(seed, name, tuple(t.shape), name.rpartition(".")[0] in last_norms))
               for name, t in model.state_dict().items() if not is_ignored(name) and name != "adaptor.C"}
    model.load_state_dict(weights, strict=False)
    with torch.no_grad():
        images = torch.cat([random_image(seed, f"prototype{i}", config.input) for i in (0, 1)])
        mean = model.describe(images).mean(0).flatten(1)
        # Rounded to half precision, so that machines that sum in another order agree nearly always.
        model.adaptor.C.copy_(mean[:, torch.arange(config.prototypes) % mean.shape[1]].half())
    return model


def random_image(seed: int, name: str, side: int = 224) -> torch.Tensor:
    """A smooth random image of unit scale: 1 x 3 x side x side."""
    rng = _stream(seed, f"image/{name}")
    y, x = np.mgrid[0:side, 0:side] / side
    image = np.zeros((3, side, side))
    for octave in (1, 2, 4, 8, 16, 32):
        for c in range(3):
            a, b, phase = rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0, 2 * np.pi)
            image[c] += np.sin(2 * np.pi * octave * (a * x + b * y) + phase) / octave**0.5
    image += 0.2 * rng.standard_normal(image.shape)
    return torch.from_numpy(image[None].astype(np.float32))


def _stream(seed: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:8], "little")))


def _last_norms(model: PCSNet) -> set:
    """Names of the BatchNorms that end a residual block of the backbone."""
    names = set()
    for name, module in model.named_modules():
        norms = [child for child in dict(module.named_children()) if re.fullmatch(r"bn\d", child)]
        if name.startswith("backbone.") and norms:
            names.add(f"{name}.{norms[-1]}")
    return names


def _draw(seed: int, name: str, shape: tuple, last_norm: bool) -> np.ndarray:
    noise = _stream(seed, name).standard_normal(shape)
    kind = name.rpartition(".")[2]
    if len(shape) == 4:
        fan_in = shape[1] * shape[2] * shape[3]
        gain = next((g for pattern, g in GAINS if re.search(pattern, name)), 1.0)
        values = gain * np.sqrt(2.0 / fan_in) * noise
    elif kind == "weight":
        gain = LAST_NORM_GAIN if last_norm else 1.0
        values = gain + 0.1 * gain * noise
    elif kind == "running_var":
        values = np.exp(0.2 * noise)
    else:
        values = 0.1 * noise
    return values.astype(np.float32)
