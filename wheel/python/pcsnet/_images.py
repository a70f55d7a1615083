"""Photographs in all the forms that Python has them, to the few that the native part takes."""

import os
import sys
from collections.abc import Iterator
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

from pcsnet._errors import ImageError

#: A path, a file's bytes with its name, or contiguous pixels with height and width.
Native: TypeAlias = str | tuple[bytes, str] | tuple[npt.NDArray[np.uint8], int, int]

#: DLPack's numbers of devices whose memory the processor reads: its own, and that pinned for CUDA or ROCm.
_HOST_DEVICES = (1, 3, 11)


def is_one(images: Any) -> bool:
    """Whether this is one photograph, and not several."""
    if isinstance(images, (str, os.PathLike, bytes, bytearray)) or _is_named_bytes(images) or _is_pillow(images):
        return True
    return _is_array(images) and _dimensions(images) != 4


def each(images: Any) -> Iterator[Any]:
    """Photographs one after another."""
    if _is_array(images):
        yield from _as_array(images)
    else:
        yield from images


def native(image: Any, number: int, max_pixels: int) -> Native:
    """A photograph as the native part takes it; a refusal calls it by its number."""
    if isinstance(image, (str, os.PathLike)):
        return os.fsdecode(image)
    if isinstance(image, (bytes, bytearray)) or isinstance(image, memoryview) and image.ndim == 1:
        return bytes(image), f"image {number}"
    if _is_named_bytes(image):
        return image
    if _is_pillow(image):
        image = _from_pillow(image, number)
    if not _is_array(image):
        raise TypeError(f"image {number} is a {type(image).__name__}; a path, a file's bytes, a Pillow image, or an "
                        "array of height x width x 3 bytes is expected")
    return _pixels(_as_array(image), number, max_pixels)


def name_of(image: Native, number: int) -> str:
    """What a photograph is called."""
    if isinstance(image, str):
        return image
    return image[1] if isinstance(image[0], bytes) else f"image {number}"


def _is_named_bytes(image: Any) -> TypeGuard[tuple[bytes, str]]:
    return isinstance(image, tuple) and tuple(map(type, image)) == (bytes, str)


def _is_pillow(image: Any) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(image, pillow.Image)


def _from_pillow(image: Any, number: int) -> npt.NDArray[np.uint8]:
    from PIL import ImageOps

    if image.mode.startswith("I") or image.mode == "F":
        raise ImageError(f"image {number} is a Pillow image of mode {image.mode}, which Pillow clips to 8 bits: give "
                         "its path or its file's bytes, whose samples are read in the model's range")
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def _is_array(image: Any) -> bool:
    return isinstance(image, memoryview) or any(
        hasattr(image, name) for name in ("__array_interface__", "__dlpack__", "__array__"))


def _dimensions(image: Any) -> int:
    return image.ndim if hasattr(image, "ndim") else len(getattr(image, "shape", ()))


def _as_array(image: Any) -> npt.NDArray[Any]:
    if isinstance(image, (np.ndarray, memoryview)) or not hasattr(image, "__dlpack__"):
        return np.asarray(image)
    if image.__dlpack_device__()[0] not in _HOST_DEVICES:
        raise TypeError(f"this {type(image).__name__} is in a graphics card's memory; bring it to the processor's "
                        "first, in PyTorch by .cpu()")
    return np.from_dlpack(image)


def _pixels(array: npt.NDArray[Any], number: int, max_pixels: int) -> tuple[npt.NDArray[np.uint8], int, int]:
    if array.dtype != np.uint8:
        raise ImageError(f"image {number} has elements of {array.dtype}, 8-bit ones (uint8) are expected: "
                         f"{_advice(array)}")
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        is_turned = array.ndim == 3 and array.shape[0] in (1, 3, 4)
        advice = "; channels come last: np.moveaxis(image, 0, -1), in PyTorch image.permute(1, 2, 0)"
        raise ImageError(f"image {number} has the shape {array.shape}, height x width x 3 is expected"
                         f"{advice if is_turned else ''}")
    height, width, channels = array.shape
    if array.size == 0:
        raise ImageError(f"image {number} has no pixels: its shape is {array.shape}")
    if height * width > max_pixels:
        raise ImageError(f"image {number} has {width} x {height} pixels, at most {max_pixels} are read; "
                         f"Detector(..., max_pixels={height * width}) reads it")
    # Alpha is dropped, as it is from files.
    array = np.broadcast_to(array, (height, width, 3)) if channels == 1 else array[:, :, :3]
    return np.ascontiguousarray(array), height, width


def _advice(array: npt.NDArray[Any]) -> str:
    kind = array.dtype.kind
    if kind == "b":
        return "255 * image.astype(np.uint8) makes them black and white"
    if kind == "f":
        has_nan = bool(np.isnan(array).any())
        beware = "it holds NaN, which no pixel can be; replace that, and then " if has_nan else ""
        return f"{beware}where they go from 0 to 1, (255 * image).round().astype(np.uint8)"
    if kind in "iu":
        return ("scale them to 0 to 255 and convert with .astype(np.uint8), or give a 16-bit PNG or TIFF, which is "
                "read in the model's range")
    return "convert them with .astype(np.uint8)"
