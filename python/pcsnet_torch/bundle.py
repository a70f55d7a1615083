"""Model files: safetensors with the authors' tensor names and the configuration in the metadata."""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialize

from pcsnet_torch.config import ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.model import PCSNet

# Tensors that PyTorch modules carry but this network does not use.
IGNORED = ("backbone.layer4.", "backbone.fc.", "cas.inner_cls.")
IGNORED_ENDS = (".num_batches_tracked",) + tuple(
    f"adaptor.Descriptor.layer_{k}.{kind}" for k in (1, 2, 3) for kind in ("weight", "bias"))


def load(paths, device="cpu") -> tuple:
    """The network held by one or several files together, ready to infer, and their metadata."""
    paths = [paths] if isinstance(paths, (str, Path)) else list(paths)
    tensors, metadata = {}, {}
    for path in paths:
        found, meta = read(path)
        for name in found:
            if name in tensors:
                raise PcsnetError(f"{path}: tensor `{name}` is also in another of the given files; give it once")
        tensors.update(found)
        metadata.update(meta)
    where = ", ".join(map(str, paths))
    model = PCSNet(config_of(metadata, where))
    fill(model, tensors, where)
    return model.eval().to(device), metadata


def read(path) -> tuple:
    """All tensors of a safetensors file as float32, and its metadata."""
    try:
        with safe_open(str(path), "pt") as file:
            return {name: file.get_tensor(name).float() for name in file.keys()}, file.metadata() or {}
    except FileNotFoundError:
        raise PcsnetError(f"{path}: there is no such file") from None
    except (SafetensorError, OSError) as error:
        raise PcsnetError(f"{path}: not a usable safetensors file: {error}") from None


def config_of(metadata: dict, where: str) -> ModelConfig:
    """The configuration named by `pcsnet.config`, or by the shorthand `pcsnet.backbone` and `pcsnet.descriptor`."""
    if "pcsnet.config" in metadata:
        return ModelConfig.from_json(metadata["pcsnet.config"])
    if "pcsnet.backbone" in metadata and "pcsnet.descriptor" in metadata:
        return ModelConfig.by_name(metadata["pcsnet.backbone"], metadata["pcsnet.descriptor"])
    raise PcsnetError(f"{where}: the metadata names neither `pcsnet.config` nor both `pcsnet.backbone` and "
                      "`pcsnet.descriptor`; `export` writes them")


def is_ignored(name: str) -> bool:
    return name.startswith(IGNORED) or name.endswith(IGNORED_ENDS)


def fill(module: torch.nn.Module, tensors: dict, where: str) -> None:
    """Copies tensors into a module of the same names; every missing, unknown or misshapen one is named."""
    own = {name: t for name, t in module.state_dict().items() if not is_ignored(name)}
    for name, target in own.items():
        if name not in tensors:
            raise PcsnetError(f"{where}: tensor `{name}` is missing (expected shape {tuple(target.shape)})")
        if tensors[name].shape != target.shape:
            raise PcsnetError(f"{where}: tensor `{name}` has shape {tuple(tensors[name].shape)}, "
                              f"expected {tuple(target.shape)}")
        if not torch.isfinite(tensors[name]).all():
            raise PcsnetError(f"{where}: tensor `{name}` holds a value that is not finite")
    for name in tensors:
        if name not in own and not is_ignored(name):
            raise PcsnetError(f"{where}: tensor `{name}` is no part of this model; check that the file and the "
                              "model kind belong together")
    module.load_state_dict({name: tensors[name] for name in own}, strict=False)


def save(path, model: PCSNet, metadata: dict = None, half: bool = False) -> None:
    """Writes the network, its configuration and further metadata; `half` stores float16."""
    dtype = torch.float16 if half else torch.float32
    tensors = {name: t.detach().to("cpu", dtype).contiguous()
               for name, t in model.state_dict().items() if not is_ignored(name)}
    text = {"format": "pt", "pcsnet.config": model.config.to_json()}
    text.update({key: str(value) for key, value in (metadata or {}).items()})
    save_tensors(path, tensors, text)


def save_tensors(path, tensors: dict, metadata: dict = None) -> None:
    """Writes through a neighbouring file, so that an interruption leaves no half-written model behind."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(serialize({name: t.contiguous() for name, t in tensors.items()}, metadata))
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        raise PcsnetError(f"{path}: cannot be written: {error}") from None


def parameters(model: PCSNet) -> int:
    """Number of stored values."""
    return sum(math.prod(t.shape) for name, t in model.state_dict().items() if not is_ignored(name))
