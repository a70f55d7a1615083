"""The images of a category, in every layout that the engine reads (`src/data` lists them and has the same rules):
MVTec AD, MPDD, BTAD, MVTec LOCO and AD 2, VisA, Real-IAD, KolektorSDD, DAGM, and plain folders."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.preprocess import SUFFIXES, is_mask_like, read_image, read_mask, upright_size

GOOD = ("good", "normal", "ok")
DEFECTIVE = ("ng", "bad", "defective", "defect", "anomaly", "anomalous")
TRAINING = ("train", "training")
TEST = ("test", "test_public", "testing")
MASK_FOLDERS = ("ground_truth", "ground-truth", "groundtruth", "gt", "mask", "masks", "segmentation")
# What tells a mask from the image beside it, behind or before one of the separators.
WORDS = ("mask", "masks", "gt", "label", "labels", "seg", "segmentation", "ground_truth", "groundtruth")
SEPARATORS = "_-. "


@dataclass(frozen=True)
class TestItem:
    """A test image, its defect ("good" for none), and the files that together are the mask of where the defect is."""

    path: Path
    defect: str
    masks: tuple = ()


def normal_images(folder) -> list:
    """The normal images to train with: a test set's own, those in the folder's `good`, or all of a plain folder.

    Masks, and images whose masks show a defect, are none.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PcsnetError(f"{folder}: there is no such folder")
    found = _table(folder)
    if found:
        train, items = found
        files = train or [item.path for item in items if item.defect == "good"]
    else:
        files = _good_in(folder)
    if not files:
        raise PcsnetError(f"{folder}: holds no image files of good parts ({', '.join(sorted(SUFFIXES))})")
    return files


def _good_in(folder: Path) -> list:
    train = _named(folder, TRAINING)
    if train:
        return _good_in(train)
    good = [inner for inner in _folders(folder) if inner.name.lower() in GOOD]
    if not good and _named(folder, TEST):
        raise PcsnetError(f"{folder}: has a test folder, but no train or good with normal images")
    files = [path for inner in good or [folder] for path in _below(inner)]
    return [path for path, masks in _beside(files) if not masks or _is_empty(masks)]


def draw_shots(folder, shots: int, seed: int) -> list:
    """The few images a training gets: `shots` different ones, the same for the same files and seed."""
    files = normal_images(folder)
    if len(files) < shots:
        raise PcsnetError(f"{folder}: holds {len(files)} normal images, {shots} shots were asked for")
    chosen = np.random.default_rng(seed).choice(len(files), shots, replace=False)
    return [files[i] for i in sorted(chosen)]


def test_items(folder) -> list:
    """All test images with their masks, sorted by defect and path.

    Raises PcsnetError before any is used if a mask is missing or misshapen, or good or defective images are lacking.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PcsnetError(f"{folder}: there is no such folder")
    found = _table(folder)
    items = sorted(found[1] if found else _by_folders(folder), key=lambda item: (item.defect, item.path))
    for kind, is_there in (("good", any(i.defect == "good" for i in items)),
                           ("defective", any(i.defect != "good" for i in items))):
        if not is_there:
            raise PcsnetError(f"{folder}: no {kind} test images found; MVTec AD's, VisA's, Real-IAD's and plain "
                              "layouts are read")
    for item in items:
        if item.defect != "good":
            _check_masks(item)
    return items


test_items.__test__ = TestItem.__test__ = False  # not pytest's


def _check_masks(item: TestItem) -> None:
    if not item.masks:
        raise PcsnetError(f"{item.path}: its mask is missing; `{item.path.stem}_mask.png` is looked for in the folders "
                          "of masks and beside it")
    image = upright_size(item.path)
    for mask in item.masks:
        drawn = upright_size(mask)
        if image != drawn:
            raise PcsnetError(f"{mask}: is {drawn[0]} x {drawn[1]} pixels, its image {item.path} is "
                              f"{image[0]} x {image[1]}")


# --- layouts with a table ---


def _table(folder: Path):
    """(images to train with, test items) as VisA's or Real-IAD's table tells; None for other layouts."""
    if (folder / "Data" / "Images").is_dir():
        return _visa(folder)
    name = folder.resolve().name
    places = (".", "..", "../realiad_jsons", "../../realiad_jsons", "../../realiad_jsons/realiad_jsons")
    table = next((path for path in (folder / place / f"{name}.json" for place in places) if path.is_file()), None)
    return _real_iad(folder, table) if table else None


def _visa(folder: Path):
    table, tested = folder / ".." / "split_csv" / "1cls.csv", None
    if table.is_file():
        tested = set()
        for line in filter(str.strip, table.read_text().splitlines()[1:]):
            fields = line.split(",")
            if len(fields) < 4 or fields[1] not in ("train", "test"):
                raise PcsnetError(f"{table}: `{line}` is no line of object, split, label, image and mask")
            if fields[1] == "test":
                tested.add(fields[3])
    train, items = [], []
    for part, defect in (("Normal", "good"), ("Anomaly", "anomaly")):
        images, masks = (folder / "Data" / kind / part for kind in ("Images", "Masks"))
        truth = _Truth([masks] if masks.is_dir() else [])
        for path in _images(images) if images.is_dir() else []:
            if tested is None or f"{folder.resolve().name}/Data/Images/{part}/{path.name}" in tested:
                found = () if defect == "good" else truth.find("", path.stem, True)
                items.append(TestItem(path, defect, found))
            elif defect == "good":
                train.append(path)
    return train, items


def _real_iad(folder: Path, table: Path):
    try:
        content = json.loads(table.read_text())
        normal = content["meta"]["normal_class"]
        train = [folder / row["image_path"] for row in content["train"] if row["anomaly_class"] == normal]
        items = []
        for row in content["test"]:
            is_good = row["anomaly_class"] == normal
            masks = (folder / row["mask_path"],) if row.get("mask_path") and not is_good else ()
            items.append(TestItem(folder / row["image_path"], "good" if is_good else row["anomaly_class"], masks))
    except (ValueError, KeyError, TypeError) as error:
        raise PcsnetError(f"{table}: is no list of a Real-IAD category's images: {error!r}") from None
    return train, items


# --- layouts of folders ---


def _by_folders(folder: Path) -> list:
    test = _named(folder, TEST)
    root = test or folder
    truths = [inner for inner in _folders(folder) if _holds_masks(inner)]
    groups = [(None, "", _images(root))]
    for inner in _folders(root):
        # A folder of this name may be of a kind of defect, unless images are beside it.
        if _holds_masks(inner) or (inner.name.lower() in ("label", "labels") and groups[0][2]):
            truths += [] if inner in truths else [inner]
        elif test or inner.name.lower() not in (*TRAINING, "validation"):
            groups += _groups(inner)
    groups = [(defect, key, _beside(files)) for defect, key, files in groups]
    # Only a name that no other image has tells whose a mask is that lies elsewhere.
    names = Counter(path.stem.lower() for defect, _, images in groups if defect != "good" for path, _ in images)
    truth, items = _Truth(truths), []
    for defect, key, images in groups:
        for path, masks in images:
            if defect == "good":
                masks = ()
            elif not masks:
                masks = truth.find(key, path.stem, names[path.stem.lower()] == 1)
            items.append(TestItem(path, defect or ("anomaly" if masks else "good"), masks))
    if items and all(item.masks for item in items) and not any(item.defect == "good" for item in items):
        # Where every image has a mask, good parts are those with an empty one, as in KolektorSDD.
        empty = {item for item in items if _is_empty(item.masks)}
        if empty:
            items = [TestItem(item.path, "good") if item in empty else TestItem(item.path, "anomaly", item.masks)
                     for item in items]
    return items


def _groups(folder: Path) -> list:
    """(defect, folder of its masks, files) of a kind's folder, or of one that holds a folder of each kind."""
    kinds = _folders(folder)
    if folder.name.lower() in DEFECTIVE and kinds and not _images(folder):
        return [(inner.name, inner.name, _below(inner)) for inner in kinds]
    is_good = folder.name.lower() in GOOD
    return [("good", "", _below(folder)) if is_good else (folder.name, folder.name, _below(folder))]


class _Truth:
    """The files in folders of masks, by whose they may be."""

    def __init__(self, folders: list):
        self.files = defaultdict(list)
        for folder in folders:
            self._add(folder, "")

    def _add(self, folder: Path, below: str) -> None:
        for path in _images(folder):
            self.files[below, path.stem.lower()].append((1, path))
            marked = _unmarked(path.stem, WORDS.__contains__)
            other = marked or _unmarked(path.stem, str.isalpha)
            if other:
                self.files[below, other.lower()].append((0 if marked else 2, path))
        for inner in _folders(folder):
            self._add(inner, f"{below}/{inner.name.lower()}".lstrip("/"))

    def find(self, kind: str, stem: str, is_unique: bool) -> tuple:
        """The mask of the image `stem` of a kind: in the folder of that name, in one of its own, or elsewhere where no
        other image has its name."""
        kind, stem = kind.lower(), stem.lower()
        own = f"{kind}/{stem}".lstrip("/")
        inside = sorted({path for (below, _), found in self.files.items() if below == own for _, path in found})
        flat = [self._named("", f"{kind}{separator}{stem}") for separator in SEPARATORS]
        elsewhere = [below for below, name in self.files if name == stem] if is_unique else []
        return (self._named(kind, stem) or tuple(inside) or next(filter(None, flat), ())
                or (self._named("", stem) if is_unique else ())
                or (self._named(elsewhere[0], stem) if len(elsewhere) == 1 else ()))

    def _named(self, below: str, name: str) -> tuple:
        found = self.files.get((below, name), [])
        best = min((rank for rank, _ in found), default=0)
        return tuple(path for rank, path in found if rank == best)


def _beside(files: list) -> list:
    """(image, masks beside it) of each image in a list of files: `a_mask.png` beside `a.jpg`, and the PNG of few
    colours beside the JPEG of the same name."""
    images, masks, are_masks = defaultdict(list), defaultdict(list), set()
    for path in files:
        images[path.parent, path.stem.lower()].append(path)
    for path in files:
        of = _unmarked(path.stem, WORDS.__contains__)
        owners = images.get((path.parent, of.lower())) if of else None
        if owners is None and path.suffix.lower() == ".png":
            same = images[path.parent, path.stem.lower()]
            has_photograph = any(other.suffix.lower() in (".jpg", ".jpeg") for other in same)
            owners = same if has_photograph and is_mask_like(path) else None
        if owners is not None:
            are_masks.add(path)
            for owner in owners:
                if owner != path:
                    masks[owner].append(path)
    return [(path, tuple(masks[path])) for path in files if path not in are_masks]


def _unmarked(stem: str, is_mark) -> Optional[str]:
    """A name without the word before or behind it that `is_mark` knows."""
    for at, letter in enumerate(stem):
        if letter in SEPARATORS:
            before, after = stem[:at], stem[at + 1:]
            if before and is_mark(after.lower()):
                return before
            if after and is_mark(before.lower()):
                return after
    return None


def _is_empty(masks: tuple) -> bool:
    return not any(read_mask(mask).any() for mask in masks)


def _holds_masks(folder: Path) -> bool:
    return folder.name.lower() in MASK_FOLDERS


def _folders(folder: Path) -> list:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> list:
    return sorted(path for path in folder.iterdir()
                  if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."))


def _below(folder: Path) -> list:
    """The images in a folder and those below, but for folders of masks."""
    inner = [path for inner in _folders(folder) if not _holds_masks(inner) for path in _below(inner)]
    return _images(folder) + inner


def _named(folder: Path, names: tuple) -> Optional[Path]:
    """The folder in a folder that has one of these names; the first name that there is."""
    found = {inner.name.lower(): inner for inner in reversed(_folders(folder))}
    return next((found[name] for name in names if name in found), None)


# --- their pixels ---


def read_all(paths, value_range=None) -> list:
    """The images of files, 8-bit RGB; raises PcsnetError naming every unusable one."""
    images, faults = [], []
    for path in paths:
        try:
            images.append(read_image(path, value_range))
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
