"""Image files -> network inputs, through Pillow, whose 8-bit resize the engine reproduces exactly."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pcsnet_torch.config import ModelConfig
from pcsnet_torch.errors import PcsnetError

FITS = ("crop", "stretch")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8", ".webp", ".gif",
            ".pbm", ".pgm", ".ppm", ".pnm"}

# The range of 16 bits.
WHOLE = (0, 65535)

# (mean, std) of inputs in 0..1. EfficientNet-Lite's is TensorFlow's (x - 127) / 128 of 0..255.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TENSORFLOW = (127 / 255,) * 3, (128 / 255,) * 3


def read_image(path, value_range=None) -> Image.Image:
    """An image file as 8-bit RGB, upright.

    `value_range` is what is black and white in files of more than 8 bits a sample, (low, high); by default 0 to what
    the file declares or its bits allow, and 0 to 1 for floating point. The engine's `ValueRange` gives the same pixels.
    """
    try:
        with Image.open(path) as image:
            image = _upright(image)
            if image.mode.startswith("I") or image.mode == "F":
                image = Image.fromarray(_eight_bits(path, image, value_range))
            elif value_range not in (None, WHOLE) and _is_deep_colour(path, image):
                raise PcsnetError(f"{path}: colours of more than 8 bits are read over their whole range alone")
            return image.convert("RGB")
    except FileNotFoundError:
        raise PcsnetError(f"{path}: there is no such image") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable image: {error}") from None


def upright_size(path) -> tuple:
    """Columns and rows of an image file as its EXIF says it is to be seen."""
    try:
        with Image.open(path) as image:
            is_turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return image.size[::-1] if is_turned else image.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable image: {error}") from None


def _upright(image) -> Image.Image:
    """An opened image as its EXIF says it is to be seen. TIFFs are turned by loading alone; their tag stays."""
    image.load()
    return image if image.format == "TIFF" else ImageOps.exif_transpose(image)


@dataclass(frozen=True)
class Depth:
    """What is known of a file of more than 8 bits a sample: its own range, whether it declares that,
    and its largest sample."""

    range: tuple
    is_declared: bool
    is_float: bool
    highest: float


def range_of_set(paths) -> Optional[tuple]:
    """The range for all images of a model, (low, high); None where all have 8 bits. The engine's `ValueRange::of_set`.

    Where none declares its range, the significant bits are recognised: 8, 10, 12, 14 or 16, as many as the largest
    sample takes. Unreadable files are passed over, for whoever reads them to tell.
    """
    depths = [depth for depth in map(_depth, paths) if depth]
    if not depths:
        return None
    first = depths[0]
    if (first.is_declared or first.is_float) and all(depth.range == first.range for depth in depths):
        return first.range
    widest = max(depth.range[1] for depth in depths)
    highest = max(depth.highest for depth in depths)
    recognised = next((2**bits - 1 for bits in (8, 10, 12, 14, 16) if highest <= 2**bits - 1), widest)
    return 0, min(recognised, widest)


def _depth(path) -> Optional[Depth]:
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode == "F":
                return Depth((0, 1), False, True, float(np.asarray(image).max()))
            if image.mode.startswith("I"):
                samples, declared = _samples(path, image)
                return Depth((0, declared or WHOLE[1]), declared is not None, False, samples.max())
            return Depth(WHOLE, False, False, WHOLE[1]) if _is_deep_colour(path, image) else None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return None


def parse_range(text: str) -> tuple:
    """`LOW,HIGH` as two rising numbers; ValueError for anything else."""
    low, high = map(float, text.split(","))
    if not -np.inf < low < high < np.inf:
        raise ValueError(f"`{text}` is no range: two rising numbers with a comma between are expected, such as 0,4095")
    return low, high


def stored_range(metadata: dict) -> Optional[tuple]:
    """The range that a model's metadata name, in which its images are to be read."""
    text = metadata.get("pcsnet.range")
    try:
        return parse_range(text) if text else None
    except ValueError:
        raise PcsnetError(f"the model's `pcsnet.range` is `{text}`; two rising numbers with a comma between are "
                          "expected") from None


def _eight_bits(path, image, value_range) -> np.ndarray:
    if image.mode == "F":
        samples = np.asarray(image).astype(np.float64)
        if value_range is None and (not np.isfinite(samples).all() or samples.min() < 0 or samples.max() > 1):
            raise PcsnetError(f"{path}: floating-point samples beyond 0 to 1; state their range")
        low, high = value_range or (0, 1)
        levels = (np.nan_to_num(samples, nan=low) - low) * 255 / (high - low) + 0.5
    else:
        samples, declared = _samples(path, image)
        low, high = value_range or (0, declared or WHOLE[1])
        levels = (samples - low) * 256 / (high - low + 1)
    return np.floor(levels).clip(0, 255).astype(np.uint8)


def _samples(path, image) -> tuple:
    """The whole numbers of a deep grey image, and the largest one that its file declares, or None."""
    samples = np.asarray(image).astype(np.float64)
    maximum = _pnm_maximum(path) if image.format in (None, "PPM") else None
    if maximum is not None:
        # Pillow has stretched the samples to 65535.
        return np.rint(samples * maximum / 65535), maximum
    return samples, _tiff_maximum(image)


def _pnm_maximum(path):
    """The largest sample that a PGM or PPM of more than 8 bits declares; None for other files."""
    with open(path, "rb") as file:
        header = re.match(rb"P[2356](?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+\d+(?:\s+|#[^\n]*\n)+(\d+)", file.read(4096))
    return int(header.group(1)) if header else None


def _tiff_maximum(image):
    """TIFF's MaxSampleValue where it is all of 10, 12 or 14 bits; any other is but a statistic of the picture."""
    maximum = getattr(image, "tag_v2", {}).get(281)
    maximum = maximum[0] if isinstance(maximum, tuple) else maximum
    return maximum if maximum in (1023, 4095, 16383) else None


def _is_deep_colour(path, image) -> bool:
    """Whether an RGB image, of which Pillow keeps 8 bits, has more in its file."""
    bits = getattr(image, "tag_v2", {}).get(258, (8,))
    with open(path, "rb") as file:
        start = file.read(26)
    return max(np.atleast_1d(bits)) > 8 or (start.startswith(b"\x89PNG") and start[24] > 8)


def read_mask(path) -> np.ndarray:
    """A mask file's foreground, bool, height x width: all that is neither black nor fully transparent.

    Only of grey masks with soft edges, which have more than 16 levels, and of JPEGs it is what is half bright.
    """
    try:
        with Image.open(path) as image:
            is_lossy = image.format == "JPEG"
            image = _upright(image)
            if image.mode.startswith("I") or image.mode == "F":
                return np.asarray(image) >= (1 if image.mode != "F" else 0.5)
            clear = np.asarray(image.convert("RGBA"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable mask: {error}") from None
    colours = clear[..., :3] * (clear[..., 3:] > 0)
    is_grey = (colours == colours[..., :1]).all()
    if is_lossy or (is_grey and len(np.unique(colours)) > 16 and colours.max() >= 128):
        if 16 <= colours.max() < 128:
            raise PcsnetError(f"{path}: not a usable mask: soft edges, and no pixel is half bright; save it as PNG "
                              "with 0 and 255 only")
        return np.asarray(Image.fromarray(colours).convert("L")) >= 128
    return (colours > 0).any(-1)


def is_mask_like(path) -> bool:
    """Whether a picture has as few colours as a mask; one that cannot be read is none."""
    try:
        with Image.open(path) as image:
            colours = np.asarray(image.convert("RGB")).reshape(-1, 3)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return False
    return len(np.unique(colours, axis=0)) <= 16


def fit(image: Image.Image, side: int, how: str, resample=Image.LANCZOS) -> Image.Image:
    """Brings an image to side x side.

    "crop" is the authors': the shorter side to 8/7 of `side` (256 for 224), then the centre; parts that reach the
    edges are lost. "stretch", for parts far from square, resizes the whole image, its aspect ratio with it.
    """
    if how == "stretch":
        return image.resize((side, side), resample)
    image = shorter_side(image, side * 8 // 7, resample)
    return centre_crop(image, side)


def shorter_side(image: Image.Image, side: int, resample=Image.LANCZOS) -> Image.Image:
    """torchvision's `Resize(side)`: the longer side is truncated to whole pixels."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(side * long / short)
    size = (side, other) if width <= height else (other, side)
    return image if size == image.size else image.resize(size, resample)


def centre_crop(image: Image.Image, side: int) -> Image.Image:
    """torchvision's `CenterCrop(side)`."""
    left, top = (round((length - side) / 2) for length in image.size)
    return image.crop((left, top, left + side, top + side))


def normalization(config: ModelConfig) -> tuple:
    """(mean, std) of a network's inputs in 0..1."""
    return TENSORFLOW if config.backbone.block == "inverted" else IMAGENET


def to_tensor(image: Image.Image, config: ModelConfig) -> Tensor:
    """8-bit RGB -> normalised 3 x H x W."""
    mean, std = normalization(config)
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def load_input(path, config: ModelConfig, how: str, value_range=None) -> Tensor:
    """An image file as the network's input, 1 x 3 x S x S."""
    return to_tensor(fit(read_image(path, value_range), config.input, how), config).unsqueeze(0)


def load_mask(paths, side: int, how: str) -> np.ndarray:
    """The foreground of mask files together, with their image's geometry: bool, side x side. Nearest neighbour."""
    mask = Image.fromarray(np.logical_or.reduce([read_mask(path) for path in paths]).astype(np.uint8) * 255)
    return np.asarray(fit(mask, side, how, Image.NEAREST)) > 0


def image_files(folder) -> list:
    """Image files in a folder and the folders below it, sorted."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PcsnetError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise PcsnetError(f"{folder}: holds no image files ({', '.join(sorted(SUFFIXES))})")
    return files
