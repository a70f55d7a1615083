"""Folders of images: the MVTec AD layout, or a plain folder of normal images.

    train/good/*.png   test/good/*.png   test/<defect>/*.png   ground_truth/<defect>/<name>_mask.png
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from PIL import Image

from pcsnet.errors import PcsnetError
from pcsnet.preprocess import image_files, read_image


@dataclass(frozen=True)
class TestItem:
    """A test image, its defect ("good" for none), and the mask of where the defect is."""

    path: Path
    defect: str
    mask: Optional[Path]


def normal_images(folder) -> list:
    """The normal training images: those in train/good, or all of a plain folder."""
    good = Path(folder) / "train" / "good"
    if not good.is_dir() and any((Path(folder) / sub).is_dir() for sub in ("train", "test")):
        raise PcsnetError(f"{folder}: has a train or test folder, but no train/good with normal images")
    return image_files(good if good.is_dir() else folder)


def draw_shots(folder, shots: int, seed: int) -> list:
    """The few images a training gets: `shots` different ones, the same for the same files and seed."""
    files = normal_images(folder)
    if len(files) < shots:
        raise PcsnetError(f"{folder}: holds {len(files)} normal images, {shots} shots were asked for")
    chosen = np.random.default_rng(seed).choice(len(files), shots, replace=False)
    return [files[i] for i in sorted(chosen)]


def test_items(folder) -> list:
    """All test images with their masks; raises PcsnetError before any is used if a mask is missing or misshapen."""
    root = Path(folder) / "test"
    if not (root / "good").is_dir():
        raise PcsnetError(f"{folder}: has no test/good with normal images to tell defects from")
    items = []
    for defect in sorted(d.name for d in root.iterdir() if d.is_dir()):
        for path in image_files(root / defect):
            mask = None if defect == "good" else _mask_of(path, Path(folder) / "ground_truth" / defect)
            items.append(TestItem(path, defect, mask))
    if all(item.defect == "good" for item in items):
        raise PcsnetError(f"{root}: holds no folder of defects beside good")
    return items


test_items.__test__ = TestItem.__test__ = False  # not pytest's


def _mask_of(path: Path, folder: Path) -> Path:
    mask = folder / f"{path.stem}_mask.png"
    if not mask.is_file():
        raise PcsnetError(f"{path}: its mask is missing, expected at {mask}")
    try:
        with Image.open(path) as image, Image.open(mask) as drawn:
            if image.size != drawn.size:
                raise PcsnetError(f"{mask}: is {drawn.size[0]} x {drawn.size[1]} pixels, its image {path} is "
                                  f"{image.size[0]} x {image.size[1]}")
    except OSError as error:
        raise PcsnetError(f"{path}: cannot be compared with its mask {mask}: {error}") from None
    return mask


def read_all(paths) -> list:
    """The images of files, 8-bit RGB; raises PcsnetError naming every unusable one."""
    images, faults = [], []
    for path in paths:
        try:
            images.append(read_image(path))
        except PcsnetError as error:
            faults.append(str(error))
    if faults:
        raise PcsnetError("\n       ".join(faults))
    return images


def check_sizes(paths: list, images: list, fit: str) -> None:
    """Raises PcsnetError where images of different sizes would be cropped to views that do not correspond."""
    for path, image in zip(paths, images):
        if fit == "crop" and image.size != images[0].size:
            sizes = [f"{p} is {i.size[0]} x {i.size[1]}" for p, i in ((paths[0], images[0]), (path, image))]
            raise PcsnetError(f"the images' sizes differ: {sizes[0]}, {sizes[1]} pixels; give images of one size, or "
                              "--fit stretch")
