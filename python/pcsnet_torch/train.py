"""Few-shot training: a backbone and a few normal images -> a model file. How, is up to a recipe."""

import copy
import dataclasses
import hashlib
import json
import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from pcsnet_torch import bundle, data, losses
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.model import PCSNet
from pcsnet_torch.preprocess import fit, range_of_set, to_tensor
from pcsnet_torch.recipes import RECIPES


@dataclass(frozen=True)
class Settings:
    """What a training run depends on besides the backbone, the sizes and the images.

    recipe  one of RECIPES
    epochs  default: the recipe's
    range   what is black and white in images of more than 8 bits; default: recognised from the shots (`range_of_set`)
    """

    category: str = ""
    fit: str = "crop"
    shots: int = 8
    seed: int = 0
    recipe: str = "held-out"
    epochs: Optional[int] = None
    batch: int = 2
    range: Optional[tuple] = None

    def validate(self) -> None:
        if self.batch < 2:
            raise PcsnetError(f"a batch of {self.batch}: the disparity loss compares a batch's images, give 2 or more")
        if self.shots < self.batch:
            raise PcsnetError(f"{self.shots} shots make no batch of {self.batch}")
        if self.recipe not in RECIPES:
            raise PcsnetError(f"unknown recipe `{self.recipe}`; known are {', '.join(RECIPES)}")
        if self.epochs is not None and self.epochs < 1:
            raise PcsnetError(f"{self.epochs} epochs, give 1 or more")


class Trainer:
    """One training run. Every epoch draws from its own random stream, so a resumed run equals an uninterrupted one."""

    def __init__(self, config: ModelConfig, backbone: dict, images: list, settings: Settings, device="cpu"):
        """backbone: tensors without prefix; images: the shots, PIL."""
        settings.validate()
        self.settings, self.device = settings, torch.device(device)
        torch.manual_seed(settings.seed)
        self.model = PCSNet(config)
        bundle.fill(self.model.backbone, backbone, "backbone")
        self.model.to(self.device).train()
        self.pixels = [np.asarray(fit(image, config.input, settings.fit)) for image in images]
        self.r = nn.Parameter(torch.full((1,), 1e-5, device=self.device))
        self.scales = [torch.ones(1, device=self.device)] * 3
        self.recipe = RECIPES[settings.recipe]()
        self.recipe.prepare(self)
        self.optimiser = torch.optim.Adam(
            [{"params": [*self.model.adaptor.parameters(), self.r]}, {"params": list(self.model.cas.parameters())}],
            weight_decay=1e-5, amsgrad=True)
        self.epochs = settings.epochs or self.recipe.epochs
        self.epoch = 0

    # --- what recipes use ---

    @torch.no_grad()
    def features(self, pixels: list) -> list:
        """Three levels of features of 8-bit images, each N x C x H x W, scaled."""
        image = torch.stack([to_tensor(p, self.model.config) for p in pixels]).to(self.device)
        return [f * s for f, s in zip(self.model.backbone(image), self.scales)]

    def describe(self, features: list) -> Tensor:
        return self.model.adaptor.Descriptor(features)

    def masks(self, masks) -> Tensor:
        """Bool arrays as a tensor, N x 1 x S x S of 0 and 1."""
        return torch.from_numpy(np.stack(masks)).float().unsqueeze(1).to(self.device)

    @torch.no_grad()
    def scale_features(self) -> None:
        """Gives each feature channel unit deviation over the shots."""
        self.scales = [1 / f.std((0, 2, 3), keepdim=True).clamp_min(1e-6) for f in self.features(self.pixels)]

    # --- training ---

    def run_epoch(self) -> dict:
        """One epoch; returns the mean of each loss."""
        rng = np.random.default_rng([self.settings.seed, self.epoch])
        torch.manual_seed(int(rng.integers(2**62)))
        factor = self.recipe.rate(self.epoch / self.epochs)
        for group, rate in zip(self.optimiser.param_groups, (self.recipe.adaptor_rate, self.recipe.cas_rate)):
            group["lr"] = rate * factor
        batches = self.recipe.batches(len(self.pixels), self.settings.batch, rng)
        history = [self.step(chosen, rng) for chosen in batches]
        self.epoch += 1
        return {name: float(np.mean([h[name] for h in history])) for name in history[0]}

    def step(self, chosen, rng) -> dict:
        terms = self.recipe.terms(self, chosen, rng)
        self.optimiser.zero_grad()
        losses.total(terms).backward()
        self.optimiser.step()
        return {name: term.item() for name, term in terms.items()}

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


def train(folder, config: ModelConfig, backbone: dict, settings: Settings, out, device="cpu", restart=False) -> PCSNet:
    """Trains on a few normal images of a folder and writes the model file; shows progress.

    A checkpoint beside the model file is renewed after each epoch; a run that finds its own goes on from there.
    """
    settings.validate()
    paths = data.draw_shots(folder, settings.shots, settings.seed)
    value_range = settings.range or range_of_set(paths)
    images = data.read_all(paths, value_range)
    data.check_sizes(paths, images, settings.fit)
    checkpoint = Path(f"{out}.checkpoint")
    names = [p.name for p in paths]
    identity = json.dumps([dataclasses.asdict(settings), config.to_json(), names, digest(backbone, images)])
    saved = None if restart else read_checkpoint(checkpoint, identity)
    save_checkpoint(checkpoint, identity, saved)  # an unwritable place is found out before any time is spent
    trainer = Trainer(config, backbone, images, settings, device)
    if saved:
        trainer.restore(saved)
        print(f"going on after epoch {trainer.epoch} of {checkpoint}")
    remaining = range(trainer.epoch, trainer.epochs)
    with tqdm(remaining, desc="training", unit="epoch", initial=trainer.epoch, total=trainer.epochs) as bar:
        for epoch in bar:
            start = time.perf_counter()
            means = trainer.run_epoch()
            save_checkpoint(checkpoint, identity, trainer.state())
            terms = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
            bar.write(f"epoch {epoch + 1:3}  {terms}  r {trainer.r.item():.3g}  ({time.perf_counter() - start:.1f} s)")
    model = trainer.trained_model()
    metadata = {"pcsnet.range": "{:.17g},{:.17g}".format(*value_range)} if value_range else {}
    bundle.save(out, model, {
        **metadata,
        "pcsnet.fit": settings.fit, "pcsnet.category": settings.category, "pcsnet.shots": settings.shots,
        "pcsnet.seed": settings.seed, "pcsnet.training": json.dumps({
            **dataclasses.asdict(settings), "images": names,
            "sha256": [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]})})
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
