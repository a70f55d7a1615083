"""Writes a PCSNet as ONNX, for one image and with all sizes fixed, from the PyTorch reference.

In the folder OUT: `network.onnx` (image -> map), and of a trained network the same in two for engines that cannot
select the nearest distances, `describe.onnx` (image -> guide, squares) and `segment.onnx` (guide, score -> map);
`shapes.json` holds the shapes of these tensors by name.
"""

import argparse
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx.utils import Extractor
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))

from pcsnet_torch import backbone, bundle, decoder  # noqa: E402
from pcsnet_torch.config import BackboneConfig  # noqa: E402
from pcsnet_torch.model import PCSNet  # noqa: E402

PARTS = {
    "network": (["image"], ["map"]),
    "describe": (["image"], ["guide", "squares"]),
    "segment": (["guide", "score"], ["map"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="safetensors file; repeat for one in parts")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    tensors, metadata = bundle.read(options.model[0])
    if "taught.normal" in tensors:
        config = json.loads(metadata["pcsnet.config"])
        write(Taught(tensors, config), config["input"], {"network": PARTS["network"]}, options.out)
    else:
        network, _ = bundle.load(options.model)
        with mock.patch.object(decoder.F, "adaptive_avg_pool2d", pool):
            write(Boundaries(network), network.config.input, PARTS, options.out)


def write(network: nn.Module, side: int, parts: dict, folder: Path) -> None:
    """Exports a network, whole and in parts. Its outputs are all tensors at their ends, in their order."""
    ends = [name for inputs, outputs in parts.values() for name in (*inputs, *outputs)]
    names = [name for name in dict.fromkeys(ends) if name != "image"]
    program = torch.onnx.export(network.eval(), (torch.zeros(1, 3, side, side),), input_names=["image"],
                                output_names=names, opset_version=18, dynamo=True)
    extractor = Extractor(program.model_proto)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (inputs, outputs) in parts.items():
        part = extractor.extract_model(inputs, outputs)
        onnx.checker.check_model(part)
        onnx.save(part, folder / f"{name}.onnx")
    shapes = {value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
              for value in [*program.model_proto.graph.input, *program.model_proto.graph.output]}
    (folder / "shapes.json").write_text(json.dumps(shapes))


class Taught(nn.Module):
    """A taught model. image: 1 x 3 x S x S, in the light that the model wants -> map: 1 x 1 x S x S, before it is
    blurred."""

    def __init__(self, tensors: dict, config: dict):
        super().__init__()
        self.side, self.grid = config["input"], config["grid"]
        self.net = backbone.build(BackboneConfig.efficientnet_lite0())
        own = {name.removeprefix("backbone."): t for name, t in tensors.items() if name.startswith("backbone.")}
        self.net.load_state_dict(own, strict=False)
        self.tensors = tensors
        self.rank = int(0.25 * (self.grid**2 - 1))

    def forward(self, image: Tensor) -> Tensor:
        joined, uneven = 0, 1
        for number, level in enumerate(self.net(image)):
            names = ("mean", "deviation", "whitening", "C")
            mean, deviation, whitening, prototypes = (
                self.tensors[f"taught.layer_{number + 1}.{name}"] for name in names)
            on_grid = F.interpolate(F.avg_pool2d(level, 3, 1, 1), (self.grid, self.grid), mode="bilinear")
            standardised = (on_grid - mean[:, None, None]) / deviation[:, None, None]
            phi = F.conv2d(standardised, whitening.T[:, :, None, None])
            # relu rather than clamp: ONNX's Max would not run on ONNX Runtime's WebGPU.
            nearest = squared_distances(phi, prototypes).amin(2).relu().sqrt()
            relative = nearest * self.tensors["taught.normal"][number].flatten()
            weight, low, high, evenness = self.tensors["taught.bounds"][number].tolist()
            quantile = relative.topk(self.rank + 1, dim=1, largest=False, sorted=True)[0][:, -1:]
            unit = quantile.clamp(low, high)
            joined = joined + relative * weight / unit
            uneven = uneven * (1 + (evenness * relative.mean(1, keepdim=True) / unit - 1).relu())
        joined = joined * uneven ** (2 / (number + 1))
        return F.interpolate(joined.reshape(1, 1, self.grid, self.grid), (self.side, self.side), mode="bilinear")


class Boundaries(nn.Module):
    """The network, written so that the tensors at which it can be cut are outputs and so have names.

    image: 1 x 3 x S x S -> map: 1 x 1 x S x S, guide: 1 x guide x G x G, squares (squared distances of every position
    to every prototype): 1 x GG x P, score: 1 x K x G x G.
    """

    def __init__(self, network: PCSNet):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple:
        config = self.network.config
        phi = self.network.describe(image)
        guide = phi[:, : config.guide]
        squares = squared_distances(phi, self.network.adaptor.C)
        nearest = squares.topk(config.nearest, dim=2, largest=False, sorted=True)[0]
        # relu rather than clamp: ONNX's Max would not run on ONNX Runtime's WebGPU.
        score = nearest.relu().sqrt().transpose(1, 2).unflatten(2, (config.grid, config.grid))
        return decoder.resize(self.network.cas(guide, score), config.input), guide, squares, score


def squared_distances(phi: Tensor, prototypes: Tensor) -> Tensor:
    """phi: 1 x D x G x G, prototypes: D x P -> 1 x GG x P."""
    # A product with ones rather than a sum over an axis, which pnnx misreads.
    points = phi.flatten(2).transpose(1, 2)
    lengths = points.square() @ torch.ones(phi.shape[1], 1)
    return prototypes.square().sum(0) - 2 * (points @ prototypes) + lengths


def pool(x: Tensor, side: int) -> Tensor:
    """`adaptive_avg_pool2d`, which ONNX lacks where the sides do not divide, as products with pooling matrices."""
    return pooling_matrix(x.shape[2], side) @ x @ pooling_matrix(x.shape[3], side).t()


def pooling_matrix(inputs: int, outputs: int) -> Tensor:
    """outputs x inputs: row o averages the inputs of window o."""
    matrix = np.zeros((outputs, inputs), np.float32)
    for o in range(outputs):
        start, end = o * inputs // outputs, -(-(o + 1) * inputs // outputs)
        matrix[o, start:end] = 1 / (end - start)
    return torch.from_numpy(matrix)


if __name__ == "__main__":
    main()
