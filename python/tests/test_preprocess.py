"""Image geometry and values against torchvision's rules, computed by hand."""

import numpy as np
import pytest
from PIL import Image

from pcsnet_torch import preprocess
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.errors import PcsnetError


@pytest.mark.parametrize(
    "size,expected", [((500, 333), (384, 256)), ((333, 500), (256, 384)), ((256, 256), (256, 256))])
def test_shorter_side(size, expected):
    assert preprocess.shorter_side(Image.new("RGB", size), 256).size == expected


def test_crop_is_the_centre():
    image = Image.fromarray(np.arange(256, dtype=np.uint8)[None].repeat(256, 0))
    crop = np.asarray(preprocess.fit(image, 224, "crop"))
    assert crop.shape == (224, 224) and crop[0, 0] == 16 and crop[0, -1] == 239


def test_stretch_takes_the_whole_image():
    image = Image.fromarray(np.repeat([0, 255], 50).astype(np.uint8)[None].repeat(10, 0))
    stretched = np.asarray(preprocess.fit(image, 8, "stretch"))
    assert stretched.shape == (8, 8) and stretched[0, 0] == 0 and stretched[0, -1] == 255


def test_normalisation():
    grey = Image.new("RGB", (4, 4), (127, 127, 127))
    lite = preprocess.to_tensor(grey, ModelConfig.by_name("efficientnet_lite0", "plain"))
    resnet = preprocess.to_tensor(grey, ModelConfig.by_name("resnet18", "plain"))
    assert lite.abs().max() < 1e-7
    expected = [(127 / 255 - m) / s for m, s in zip(*preprocess.IMAGENET)]
    assert resnet[:, 0, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_deep_greys_keep_their_range(tmp_path):
    Image.fromarray(np.array([[0, 128 * 257, 65535]], dtype=np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(preprocess.read_image(tmp_path / "deep.png"))[0, :, 0].tolist() == [0, 128, 255]


def test_unreadable_images_are_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n rubbish")
    with pytest.raises(PcsnetError, match="broken.png: not a usable image"):
        preprocess.read_image(tmp_path / "broken.png")


def test_masks_are_nearest(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[10:] = 255
    Image.fromarray(mask).save(tmp_path / "m.png")
    assert preprocess.load_mask([tmp_path / "m.png"], 10, "stretch").sum() == 50
