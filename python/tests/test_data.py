"""Test sets in the layouts that the engine reads: the folders and the answers of its own tests."""

import json

import numpy as np
import pytest
from PIL import Image

from pcsnet_torch import data, preprocess
from pcsnet_torch.errors import PcsnetError

SHADED = np.stack(np.broadcast_arrays(np.arange(16)[:, None] * 16, np.arange(16) * 16, 7), -1).astype(np.uint8)
DEFECT, EMPTY = (np.repeat([[255] * 4 + [0] * 12], 16, 0).astype(np.uint8), np.zeros((16, 16), np.uint8))


def tree(root, files) -> None:
    """Photographs under these names, and masks of a defect where the name tells one."""
    for name, content in files.items() if isinstance(files, dict) else ((name, None) for name in files):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        is_mask = any(word in name.lower() for word in ("mask", "ground_truth"))
        Image.fromarray((DEFECT if is_mask else SHADED) if content is None else content).save(path)


def listed(root, folder=".") -> list:
    place = lambda path: path.resolve().relative_to(root.resolve()).as_posix()  # noqa: E731
    items = data.test_items(root / folder)
    return [(item.defect, place(item.path), " ".join(map(place, item.masks))) for item in items]


LAYOUTS = {
    "loco": (["test/good/0.png", "test/logical/1.png", "ground_truth/logical/1/000.png",
              "ground_truth/logical/1/001.png"],
             [("good", "test/good/0.png", ""),
              ("logical", "test/logical/1.png", "ground_truth/logical/1/000.png ground_truth/logical/1/001.png")]),
    "ad2": (["test_public/good/0.png", "test_public/bad/1.png", "test_public/ground_truth/bad/1_mask.png",
             "train/good/2.png"],
            [("bad", "test_public/bad/1.png", "test_public/ground_truth/bad/1_mask.png"),
             ("good", "test_public/good/0.png", "")]),
    "btad": (["test/ok/0.bmp", "test/ko/1.bmp", "ground_truth/ko/1.png", "train/ok/2.bmp"],
             [("good", "test/ok/0.bmp", ""), ("ko", "test/ko/1.bmp", "ground_truth/ko/1.png")]),
    "flat": (["test/good/0.png", "test/dent/1.png", "test/chip/2.png", "Masks/1_mask.png", "Masks/chip_2.png"],
             [("chip", "test/chip/2.png", "Masks/chip_2.png"), ("dent", "test/dent/1.png", "Masks/1_mask.png"),
              ("good", "test/good/0.png", "")]),
    "kolektor": ({"kos01/Part0.png": SHADED, "kos01/Part0_label.bmp": DEFECT, "kos02/Part0.png": SHADED,
                  "kos02/Part0_label.bmp": EMPTY},
                 [("anomaly", "kos01/Part0.png", "kos01/Part0_label.bmp"), ("good", "kos02/Part0.png", "")]),
    "pairs": ({"OK/S1/0.jpg": SHADED, "NG/AK/S2/1.jpg": SHADED, "NG/AK/S2/1.png": DEFECT},
              [("AK", "NG/AK/S2/1.jpg", "NG/AK/S2/1.png"), ("good", "OK/S1/0.jpg", "")]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path):
    files, expected = LAYOUTS[layout]
    tree(tmp_path, files)
    assert listed(tmp_path) == expected


def test_visa_goes_by_its_table(tmp_path):
    images = "pcb/Data/Images"
    tree(tmp_path, [f"{images}/Normal/0.JPG", f"{images}/Normal/1.JPG", f"{images}/Anomaly/2.JPG",
                    "pcb/Data/Masks/Anomaly/2.png"])
    (tmp_path / "split_csv").mkdir()
    (tmp_path / "split_csv" / "1cls.csv").write_text(
        f"object,split,label,image,mask\npcb,train,normal,{images}/Normal/0.JPG,\n"
        f"pcb,test,normal,{images}/Normal/1.JPG,\n"
        f"pcb,test,anomaly,{images}/Anomaly/2.JPG,pcb/Data/Masks/Anomaly/2.png\n")
    assert listed(tmp_path, "pcb") == [("anomaly", f"{images}/Anomaly/2.JPG", "pcb/Data/Masks/Anomaly/2.png"),
                                       ("good", f"{images}/Normal/1.JPG", "")]
    assert [path.name for path in data.normal_images(tmp_path / "pcb")] == ["0.JPG"]


def test_real_iad_goes_by_its_table(tmp_path):
    tree(tmp_path, {"cap/OK/0.jpg": SHADED, "cap/OK/1.jpg": SHADED, "cap/NG/AK/2.jpg": SHADED,
                    "cap/NG/AK/2.png": DEFECT})
    row = lambda kind, image, mask=None: {"anomaly_class": kind, "image_path": image, "mask_path": mask}  # noqa: E731
    (tmp_path / "cap.json").write_text(json.dumps(
        {"meta": {"normal_class": "OK"}, "train": [row("OK", "OK/0.jpg")],
         "test": [row("OK", "OK/1.jpg"), row("AK", "NG/AK/2.jpg", "NG/AK/2.png")]}))
    assert listed(tmp_path, "cap") == [("AK", "cap/NG/AK/2.jpg", "cap/NG/AK/2.png"), ("good", "cap/OK/1.jpg", "")]
    assert data.normal_images(tmp_path / "cap") == [tmp_path / "cap/OK/0.jpg"]
    (tmp_path / "cap.json").write_text("{}")
    with pytest.raises(PcsnetError, match="cap.json: is no list"):
        data.test_items(tmp_path / "cap")


def test_only_good_parts_teach(tmp_path):
    tree(tmp_path, ["good/a.png", "good/b.jpg", "crack/c.png", "mask/c.png", "d.png"])
    assert data.normal_images(tmp_path) == [tmp_path / "good/a.png", tmp_path / "good/b.jpg"]
    tree(tmp_path / "other", {"a.png": SHADED, "a_mask.png": DEFECT, "b.png": SHADED, "b_mask.png": EMPTY})
    assert data.normal_images(tmp_path / "other") == [tmp_path / "other/b.png"]


def test_masks_of_several_files_are_one(tmp_path):
    tree(tmp_path, {"0.png": DEFECT, "1.png": DEFECT[:, ::-1].copy()})
    together = preprocess.load_mask([tmp_path / "0.png", tmp_path / "1.png"], 16, "stretch")
    assert together[0].tolist() == [True] * 4 + [False] * 8 + [True] * 4


def deep(path, highest):
    Image.fromarray(np.linspace(0, highest, 256).round().astype(np.uint16).reshape(16, 16)).save(path)


def test_the_range_of_a_set(tmp_path):
    deep(tmp_path / "dark.png", 900)
    deep(tmp_path / "bright.png", 4000)
    Image.fromarray(EMPTY).save(tmp_path / "shallow.png")
    files = [tmp_path / name for name in ("dark.png", "bright.png", "shallow.png")]
    assert preprocess.range_of_set(files) == (0, 4095)
    assert preprocess.range_of_set(files[:1]) == (0, 1023)
    assert preprocess.range_of_set(files[2:]) is None
    (tmp_path / "declared.pgm").write_bytes(b"P5 2 1 4095\n\x00\x00\x01\x00")
    assert preprocess.range_of_set([tmp_path / "declared.pgm"]) == (0, 4095)
    # The same level in all images of the set: 1000 of 4095.
    deep(tmp_path / "level.png", 1000)
    assert np.asarray(preprocess.read_image(tmp_path / "level.png", (0, 4095))).max() == 1000 * 256 // 4096
