"""Small networks: other sizes, hand-computed pieces, model files and the command line."""

import csv
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from pcsnet_torch import bundle, cli
from pcsnet_torch.config import BackboneConfig, ModelConfig
from pcsnet_torch.descriptor import CoordConv, nearest_distances
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.model import blur
from pcsnet_torch.randomise import random_image, random_model


def test_authors_sizes():
    plain = ModelConfig.by_name("wide_resnet50_2", "plain")
    rotation = ModelConfig.by_name("wide_resnet50_2", "rotation")
    small = ModelConfig.by_name("resnet18", "plain")
    edge = ModelConfig.by_name("efficientnet_lite0", "plain")
    sizes = [(c.descriptor_channels, c.guide, c.width) for c in (plain, rotation, small, edge)]
    assert sizes == [(1792, 896, 896), (896, 896, 896), (448, 224, 224), (176, 88, 88)]


@pytest.mark.parametrize("backbone", ["wide_resnet50_2", "resnet18", "efficientnet_lite0"])
def test_configuration_survives_json(backbone):
    config = ModelConfig.by_name(backbone, "rotation")
    assert ModelConfig.from_json(config.to_json()) == config


def test_configuration_errors_name_the_sizes(small_json):
    fields = json.loads(small_json)
    for change, message in [({"nearest": 13}, "nearest is 13"), ({"bins": [17]}, "grid of 16"),
                            ({"guide": 52}, "52 of 48"), ({"colour": 1}, "colour"), ({"descriptor": "x"}, "`x`")]:
        with pytest.raises(PcsnetError, match=message):
            ModelConfig.from_json(json.dumps({**fields, **change}))


def test_strides_of_inverted_levels_halve():
    fields = json.loads(ModelConfig.by_name("efficientnet_lite0", "plain").to_json())
    fields["backbone"]["layers"][2][1]["stride"] = 2
    with pytest.raises(PcsnetError, match="level 3 must make 2"):
        ModelConfig.from_json(json.dumps(fields))


def test_distances_by_hand():
    # One position (3, 4) and the prototypes (0, 0), (3, 4), (3, 0), (0, 16): distances 5, 0, 4, sqrt(9 + 144).
    phi = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1).requires_grad_()
    prototypes = torch.tensor([[0.0, 3, 3, 0], [0, 4, 0, 16]])
    distances = nearest_distances(phi, prototypes, 4)
    assert distances.flatten().tolist() == pytest.approx([0, 4, 5, 153**0.5])
    distances.sum().backward()
    assert phi.grad.flatten().tolist() == pytest.approx([0 + 3 / 5 + 3 / 153**0.5, 1 + 4 / 5 - 12 / 153**0.5])


def test_coordinates_are_row_then_column():
    layer = CoordConv(1)
    with torch.no_grad():
        layer.conv.weight.copy_(torch.tensor([0.0, 10, 1]).view(1, 3, 1, 1))
        layer.conv.bias.zero_()
    assert layer(torch.zeros(1, 1, 3, 2)).flatten().tolist() == [-11, -9, -1, 1, 9, 11]


@pytest.mark.parametrize("shape", [(40, 50), (5, 3)])
def test_blur_is_scipys(shape):
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    expected = gaussian_filter(x.astype(np.float64), 4)
    assert np.abs(blur(torch.from_numpy(x)[None, None])[0, 0].numpy() - expected).max() < 1e-6


@pytest.mark.parametrize("descriptor", ["plain", "rotation"])
@pytest.mark.parametrize("backbone", [BackboneConfig.resnet18(), BackboneConfig.efficientnet_lite0()])
def test_random_models_are_well_scaled(small_json, backbone, descriptor):
    fields = {**json.loads(small_json), "descriptor": descriptor}
    fields["backbone"] = json.loads(ModelConfig.standard(backbone, "plain").to_json())["backbone"]
    model = random_model(ModelConfig.from_json(json.dumps(fields)), 3)
    stages = model.stages(random_image(3, "a", 64))
    assert [stages[f"feature{k}"].shape[2] for k in (1, 2, 3)] == [16, 8, 4]
    assert stages["descriptor"].shape[1] == model.config.descriptor_channels
    for name, stage in stages.items():
        assert 1e-3 < stage.abs().max() < 1e3 and stage.std() > 1e-5, name


def test_model_files(small_json, tmp_path):
    model = random_model(ModelConfig.from_json(small_json), 1)
    bundle.save(tmp_path / "m.safetensors", model, {"pcsnet.fit": "stretch"})
    again, metadata = bundle.load(tmp_path / "m.safetensors")
    assert again.config == model.config and metadata["pcsnet.fit"] == "stretch"
    image = random_image(1, "a", 64)
    assert torch.equal(again(image), model(image))

    tensors, metadata = bundle.read(tmp_path / "m.safetensors")
    head = {n: t for n, t in tensors.items() if not n.startswith("backbone.")}
    rest = {n: t for n, t in tensors.items() if n.startswith("backbone.")}
    bundle.save_tensors(tmp_path / "head.safetensors", head, metadata)
    bundle.save_tensors(tmp_path / "backbone.safetensors", {**rest, "backbone.fc.bias": torch.zeros(4)})
    parts, _ = bundle.load([tmp_path / "backbone.safetensors", tmp_path / "head.safetensors"])
    assert torch.equal(parts(image), model(image))

    for change, message in [({"adaptor.Q": torch.zeros(1)}, "`adaptor.Q` is no part"),
                            ({"adaptor.C": torch.zeros(48, 8)}, r"expected \(48, 256\)"),
                            ({"cas.cls.3.bias": torch.tensor([float("nan")])}, "not finite")]:
        bundle.save_tensors(tmp_path / "bad.safetensors", {**tensors, **change}, metadata)
        with pytest.raises(PcsnetError, match=message):
            bundle.load(tmp_path / "bad.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, this is not a model file")
    with pytest.raises(PcsnetError, match="not a usable safetensors file"):
        bundle.load(tmp_path / "text.safetensors")


def test_trace_and_scores(small_json, tmp_path, capsys):
    model, image, out = (str(tmp_path / f"{n}.safetensors") for n in ("model", "input", "out"))
    cli.main(["random", "--config", small_json, "--seed", "2", "--out", model])
    bundle.save_tensors(image, {"input": random_image(2, "a", 64)})
    cli.main(["trace", "--model", model, "--input", image, "--out", out])
    stages, _ = bundle.read(out)
    assert all(t.dim() == 4 and t.shape[0] == 1 for t in stages.values())
    assert stages["cas_bin2"].shape == (1, 16, 4, 4) and stages["blurred"].shape == (1, 1, 64, 64)

    (tmp_path / "images").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "images/a.png")
    capsys.readouterr()
    cli.main(["scores", "--model", model, str(tmp_path / "images"), "--maps", str(tmp_path / "maps")])
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    blurred = np.load(tmp_path / "maps" / "a.npy")
    assert rows[0] == ["path", "score"] and blurred.shape == (64, 64)
    assert float(rows[1][1]) == pytest.approx(blurred.max(), rel=1e-6)
    with pytest.raises(SystemExit, match="no such folder"):
        cli.main(["scores", "--model", model, str(tmp_path / "nowhere")])
