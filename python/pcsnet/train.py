"""Few-shot training (section IV-A of the paper): a backbone and a few normal images -> a model file."""

import copy
import dataclasses
import hashlib
import json
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from pcsnet import anomalies, bundle, data, losses
from pcsnet.config import ModelConfig
from pcsnet.descriptor import nearest_distances
from pcsnet.errors import PcsnetError
from pcsnet.model import PCSNet
from pcsnet.preprocess import fit, to_tensor


@dataclass(frozen=True)
class Settings:
    """What a training run depends on besides the backbone, the sizes and the images; the defaults are the authors'.

    afs      "paper", or "authors" for the loss as their code computes it
    scale    divide each feature channel by its deviation over the shots, and bring distances near 1, before training
    varied   spots, scratches and rectangles of many sizes instead of the category's pseudo-anomalies
    augment  mirror, shift and brighten the images at random
    warm_up  epochs over which the decoder's learning rate grows to its full size
    """

    category: str = ""
    fit: str = "crop"
    shots: int = 8
    seed: int = 0
    epochs: int = 50
    batch: int = 2
    adaptor_rate: float = 1e-3
    cas_rate: float = 1e-4
    afs: str = "paper"
    scale: bool = False
    varied: bool = False
    augment: bool = False
    warm_up: int = 0

    def validate(self) -> None:
        if self.batch < 2:
            raise PcsnetError(f"a batch of {self.batch}: the disparity loss compares a batch's images, give 2 or more")
        if self.shots < self.batch:
            raise PcsnetError(f"{self.shots} shots make no batch of {self.batch}")
        if self.epochs < 1:
            raise PcsnetError(f"{self.epochs} epochs, give 1 or more")


class Trainer:
    """One training run. Every epoch draws from its own random stream, so a resumed run equals an uninterrupted one."""

    def __init__(self, config: ModelConfig, backbone: dict, images: list, settings: Settings, device="cpu"):
        """backbone: tensors without prefix; images: the shots, PIL."""
        settings.validate()
        if config.prototypes != config.grid**2:
            raise PcsnetError(f"training makes one prototype per position: {config.grid**2}, not {config.prototypes}")
        self.settings, self.device = settings, torch.device(device)
        torch.manual_seed(settings.seed)
        self.model = PCSNet(config)
        bundle.fill(self.model.backbone, backbone, "backbone")
        self.model.to(self.device).train()
        self.pixels = [np.asarray(fit(image, config.input, settings.fit)) for image in images]
        self.anomalies = anomalies.of_category(settings.category)
        self.r = nn.Parameter(torch.full((1,), 1e-5, device=self.device))
        self.scales = [torch.ones(1, device=self.device)] * 3
        # The backbone is frozen and the shots are few: their features are computed once.
        self.normal = self.features(self.pixels)
        if settings.scale:
            self.scale_features()
        self.model.adaptor.C.copy_(self.mean_descriptor())
        self.optimiser = torch.optim.Adam(
            [{"params": [*self.model.adaptor.parameters(), self.r], "lr": settings.adaptor_rate},
             {"params": list(self.model.cas.parameters()), "lr": settings.cas_rate}],
            weight_decay=1e-5, amsgrad=True)
        self.epoch = 0

    # --- features and prototypes ---

    @torch.no_grad()
    def features(self, pixels: list) -> list:
        """Three levels of features of 8-bit images, each N x C x H x W, scaled."""
        image = torch.stack([to_tensor(p, self.model.config) for p in pixels]).to(self.device)
        return [f * s for f, s in zip(self.model.backbone(image), self.scales)]

    @torch.no_grad()
    def mean_descriptor(self) -> Tensor:
        """The shots' mean descriptor, position by position: D x G^2."""
        return self.describe(self.normal).mean(0).flatten(1)

    def describe(self, features: list) -> Tensor:
        return self.model.adaptor.Descriptor(features)

    @torch.no_grad()
    def scale_features(self) -> None:
        """Features of unit deviation, then of such a size that the mean distance to the mean prototypes is 1."""
        self.scales = [1 / f.std((0, 2, 3), keepdim=True).clamp_min(1e-6) for f in self.normal]
        self.normal = [f * s for f, s in zip(self.normal, self.scales)]
        distance = nearest_distances(self.describe(self.normal), self.mean_descriptor(), 3).mean()
        self.scales = [s / distance for s in self.scales]
        self.normal = [f / distance for f in self.normal]

    # --- training ---

    def run_epoch(self) -> dict:
        """One pass over the shots; returns the mean of each loss."""
        settings = self.settings
        rng = np.random.default_rng([settings.seed, self.epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        order = rng.permutation(len(self.pixels))
        self.optimiser.param_groups[1]["lr"] = settings.cas_rate * min(1, (self.epoch + 1) / (settings.warm_up + 1))
        batch = settings.batch
        steps = [order[i : i + batch] for i in range(0, len(order) - batch + 1, batch)]  # a last, odd one is dropped
        history = [self.step(chosen, rng) for chosen in steps]
        self.epoch += 1
        return {name: float(np.mean([h[name] for h in history])) for name in history[0]}

    def step(self, chosen, rng) -> dict:
        terms = self.terms(chosen, rng)
        self.optimiser.zero_grad()
        losses.total(terms).backward()
        self.optimiser.step()
        return {name: term.item() for name, term in terms.items()}

    def terms(self, chosen, rng) -> dict:
        """The four losses of a batch of shots, by name."""
        config, C = self.model.config, self.model.adaptor.C
        if self.settings.augment:
            pixels = [anomalies.augment(self.pixels[i], rng) for i in chosen]
            normal = self.features(pixels)
        else:
            pixels = [self.pixels[i] for i in chosen]
            normal = [f[torch.as_tensor(chosen)] for f in self.normal]
        copies, masks = zip(*(self.pseudo_anomalies(p, rng) for p in pixels))
        abnormal = self.features(copies)
        masks = torch.from_numpy(np.stack(masks)).float().unsqueeze(1).to(self.device)

        # Half of the mixed batch, rounded up, shows its pseudo-anomalies.
        replaced = torch.zeros(len(chosen), device=self.device)
        replaced[torch.as_tensor(rng.permutation(len(chosen))[: (len(chosen) + 1) // 2])] = 1
        pick = replaced.view(-1, 1, 1, 1)
        mixed = self.describe([torch.where(pick > 0, a, n) for n, a in zip(normal, abnormal)])
        score = nearest_distances(mixed, C, config.nearest)
        maps = self.model.segment(mixed, score)

        return {
            "NFC": losses.compactness(nearest_distances(self.describe(normal), C, 3), self.r),
            "AFS": self.separation(self.describe(abnormal), masks),
            "PDC": losses.disparity(score[:, :3], replaced),
            "SEG": losses.segmentation(maps, masks * pick),
        }

    def pseudo_anomalies(self, pixels: np.ndarray, rng) -> tuple:
        if self.settings.varied:
            return anomalies.make_varied(pixels, rng)
        return anomalies.make(pixels, self.anomalies, rng)

    def separation(self, phi: Tensor, masks: Tensor) -> Tensor:
        """AFS of pseudo-anomalous descriptors; masks: N x 1 x S x S."""
        C, grid = self.model.adaptor.C, self.model.config.grid
        if self.settings.afs == "authors":
            mask = F.interpolate(masks, (grid, grid), mode="bilinear", align_corners=False)
            return losses.separation_as_coded(all_distances(phi, C), mask, self.r)
        mask = F.interpolate(masks, (grid, grid), mode="nearest-exact") > 0
        return losses.separation(nearest_distances(phi, C, 3), mask, self.r)

    # --- results ---

    def trained_model(self) -> PCSNet:
        """The network with the features' scales folded into the descriptor's first convolutions."""
        model = copy.deepcopy(self.model).cpu().eval()
        descriptor = model.adaptor.Descriptor
        with torch.no_grad():
            for level, scale in enumerate(self.scales):
                suffix = f"_{level}" if level else ""
                conv = getattr(descriptor, f"conv1{suffix}") if descriptor.rotation else getattr(
                    descriptor, f"layer_{level + 1}").conv
                scale = scale.flatten().cpu()
                channels = conv.weight.shape[1] - (0 if descriptor.rotation else 2)
                conv.weight[:, :channels] *= scale.view(1, -1, 1, 1)
        return model

    def state(self) -> dict:
        trained = {n: t for n, t in self.model.state_dict().items() if not n.startswith("backbone.")}
        return {"epoch": self.epoch, "model": trained, "r": self.r.data,
                "optimiser": self.optimiser.state_dict()["state"]}

    def restore(self, state: dict) -> None:
        self.model.load_state_dict(state["model"], strict=False)
        self.r.data.copy_(state["r"])
        groups = self.optimiser.state_dict()["param_groups"]  # follow from the settings
        self.optimiser.load_state_dict({"state": state["optimiser"], "param_groups": groups})
        self.epoch = state["epoch"]


def all_distances(phi: Tensor, prototypes: Tensor) -> Tensor:
    """Distances to every prototype, in the prototypes' order: N x P x G x G."""
    squares = phi.square().sum(1, keepdim=True) + prototypes.square().sum(0).view(1, -1, 1, 1)
    squares = squares - 2 * torch.einsum("dp,ndyx->npyx", prototypes, phi)
    return squares.clamp_min(1e-12).sqrt()


def train(folder, config: ModelConfig, backbone: dict, settings: Settings, out, device="cpu", restart=False) -> PCSNet:
    """Trains on a few normal images of a folder and writes the model file; shows progress.

    A checkpoint beside the model file is renewed after each epoch; a run that finds its own goes on from there.
    """
    settings.validate()
    paths = data.draw_shots(folder, settings.shots, settings.seed)
    images = data.read_all(paths)
    checkpoint = Path(f"{out}.checkpoint")
    names = [p.name for p in paths]
    identity = json.dumps([dataclasses.asdict(settings), config.to_json(), names, digest(backbone, images)])
    saved = None if restart else read_checkpoint(checkpoint, identity)
    save_checkpoint(checkpoint, identity, saved)  # an unwritable place is found out before any time is spent
    trainer = Trainer(config, backbone, images, settings, device)
    if saved:
        trainer.restore(saved)
        print(f"going on after epoch {trainer.epoch} of {checkpoint}")
    remaining = range(trainer.epoch, settings.epochs)
    with tqdm(remaining, desc="training", unit="epoch", initial=trainer.epoch, total=settings.epochs) as bar:
        for epoch in bar:
            start = time.perf_counter()
            means = trainer.run_epoch()
            save_checkpoint(checkpoint, identity, trainer.state())
            terms = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
            bar.write(f"epoch {epoch + 1:3}  {terms}  r {trainer.r.item():.3g}  ({time.perf_counter() - start:.1f} s)")
    model = trainer.trained_model()
    bundle.save(out, model, {
        "pcsnet.fit": settings.fit, "pcsnet.category": settings.category, "pcsnet.shots": settings.shots,
        "pcsnet.seed": settings.seed, "pcsnet.training": json.dumps({**dataclasses.asdict(settings), "images": names})})
    checkpoint.unlink()
    return model


def digest(backbone: dict, images: list) -> str:
    """Tells apart runs whose backbone's or images' content differs."""
    sha = hashlib.sha256()
    for name in sorted(backbone):
        sha.update(backbone[name].cpu().numpy().tobytes())
    for image in images:
        sha.update(image.tobytes())
    return sha.hexdigest()


def read_checkpoint(path: Path, identity: str):
    """The state a former run left, or None."""
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, state = content["identity"], content["state"]
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        raise PcsnetError(f"{path}: not a usable checkpoint ({error}); delete it, or start over with "
                          "--restart") from None
    if found != identity:
        raise PcsnetError(f"{path}: is of a run with other settings, sizes or images; delete it, or start over with "
                          "--restart")
    return state


def save_checkpoint(path: Path, identity: str, state) -> None:
    """Written beside, then renamed: an interruption leaves the former one."""
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"identity": identity, "state": state}, partial)
        partial.replace(path)
    except (OSError, RuntimeError) as error:
        raise PcsnetError(f"{path}: cannot be written: {error}") from None
