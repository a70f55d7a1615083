"""Image files -> network inputs, through Pillow, whose 8-bit resize the engine reproduces exactly."""

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from pcsnet.config import ModelConfig
from pcsnet.errors import PcsnetError

FITS = ("crop", "stretch")
SUFFIXES = {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8", ".webp", ".gif",
            ".pbm", ".pgm", ".ppm", ".pnm"}

# (mean, std) of inputs in 0..1. EfficientNet-Lite's is TensorFlow's (x - 127) / 128 of 0..255.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TENSORFLOW = (127 / 255,) * 3, (128 / 255,) * 3


def read_image(path, value_range=None) -> Image.Image:
    """An image file as 8-bit RGB, upright.

    `value_range` is what is black and white in files of more than 8 bits a sample, (low, high); by default 0 to what the
    file declares or its bits allow, and 0 to 1 for floating point. The engine's `ValueRange` gives the same pixels.
    """
    try:
        with Image.open(path) as image:
            image = _upright(image)
            if image.mode.startswith("I") or image.mode == "F":
                image = Image.fromarray(_eight_bits(path, image, value_range))
            elif value_range is not None and _is_deep_colour(path, image):
                raise PcsnetError(f"{path}: colours of more than 8 bits are read over their whole range alone")
            return image.convert("RGB")
    except FileNotFoundError:
        raise PcsnetError(f"{path}: there is no such image") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable image: {error}") from None


def _upright(image) -> Image.Image:
    """An opened image as its EXIF says it is to be seen. TIFFs are turned by loading alone, with the tag left as it was."""
    image.load()
    return image if image.format == "TIFF" else ImageOps.exif_transpose(image)


def _eight_bits(path, image, value_range) -> np.ndarray:
    samples = np.asarray(image).astype(np.float64)
    if image.mode == "F":
        if value_range is None and (not np.isfinite(samples).all() or samples.min() < 0 or samples.max() > 1):
            raise PcsnetError(f"{path}: floating-point samples beyond 0 to 1; state their range")
        low, high = value_range or (0, 1)
        levels = (np.nan_to_num(samples, nan=low) - low) * 255 / (high - low) + 0.5
    else:
        maximum = _pnm_maximum(path) if image.format in (None, "PPM") else None
        if maximum is not None:
            # Pillow has stretched the samples to 65535.
            samples = np.rint(samples * maximum / 65535)
        low, high = value_range or (0, maximum or _tiff_maximum(image) or 65535)
        levels = (samples - low) * 256 / (high - low + 1)
    return np.floor(levels).clip(0, 255).astype(np.uint8)


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
            raise PcsnetError(f"{path}: not a usable mask: soft edges, and no pixel is half bright; save it as PNG with 0 "
                              "and 255 only")
        return np.asarray(Image.fromarray(colours).convert("L")) >= 128
    return (colours > 0).any(-1)


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


def to_tensor(image: Image.Image, config: ModelConfig) -> Tensor:
    """8-bit RGB -> normalised 3 x H x W."""
    mean, std = TENSORFLOW if config.backbone.block == "inverted" else IMAGENET
    pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).float() / 255
    return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


def load_input(path, config: ModelConfig, how: str) -> Tensor:
    """An image file as the network's input, 1 x 3 x S x S."""
    return to_tensor(fit(read_image(path), config.input, how), config).unsqueeze(0)


def load_mask(path, side: int, how: str) -> np.ndarray:
    """A mask file's foreground with its image's geometry: bool, side x side. Nearest neighbour."""
    mask = Image.fromarray(read_mask(path).astype(np.uint8) * 255)
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
