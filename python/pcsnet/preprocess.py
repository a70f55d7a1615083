"""Image files -> network inputs, through Pillow, whose 8-bit resize the engine reproduces exactly."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from pcsnet.config import ModelConfig
from pcsnet.errors import PcsnetError

FITS = ("crop", "stretch")
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"}

# (mean, std) of inputs in 0..1. EfficientNet-Lite's is TensorFlow's (x - 127) / 128 of 0..255.
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TENSORFLOW = (127 / 255,) * 3, (128 / 255,) * 3


def read_image(path) -> Image.Image:
    """An image file as 8-bit RGB."""
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith("I"):
                # 16-bit greys to 8 bits, rounded; Pillow's own conversion would clip them to white.
                grey = (np.asarray(image).astype(np.int64) + 128) // 257
                image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
            return image.convert("RGB")
    except FileNotFoundError:
        raise PcsnetError(f"{path}: there is no such image") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable image: {error}") from None


def read_mask(path) -> Image.Image:
    """A mask file as 8-bit grey: 0 is background."""
    try:
        with Image.open(path) as image:
            return image.convert("L")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise PcsnetError(f"{path}: not a usable mask: {error}") from None


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
    """A mask file with its image's geometry: bool, side x side. Nearest neighbour; foreground from mid-grey on."""
    return np.asarray(fit(read_mask(path), side, how, Image.NEAREST)) / 255 >= 0.5


def image_files(folder) -> list:
    """Image files in a folder and the folders below it, sorted."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PcsnetError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not files:
        raise PcsnetError(f"{folder}: holds no image files ({', '.join(sorted(SUFFIXES))})")
    return files
