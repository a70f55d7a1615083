"""Pseudo-anomalies: a rectangle of the image pasted elsewhere in it (after Schlueter et al., "Natural Synthetic
Anomalies", ECCV 2022, with swapping for blending), and what suits each known category. Beside these, which are the
authors', spots and scratches."""

from dataclasses import dataclass
from typing import Optional

import numpy as np
from PIL import Image, ImageDraw, ImageFilter
from scipy.ndimage import median_filter

TRIES = 200
MIN_OVERLAP = 0.25


@dataclass(frozen=True)
class Anomalies:
    """How pseudo-anomalies of a category are made.

    heights, widths  bounds of a rectangle's half-height and half-width, as shares of the image's side
    patches          most rectangles per image
    background       (brightness, threshold): grey levels this near the brightness are no part of the object
    min_object       least share of object in a source rectangle, where there is a background
    """

    heights: tuple[float, float] = (0.03, 0.4)
    widths: tuple[float, float] = (0.03, 0.4)
    patches: int = 1
    background: Optional[tuple[int, int]] = None
    min_object: float = 0.7


_FINE, _LONG, _LARGE = (0.01, 0.05), (0.01, 0.1), (0.03, 0.4)

# The authors' table.
CATEGORIES = {
    # MVTec AD
    "bottle": Anomalies(_LARGE, _LARGE, 1, (200, 60), 0.7),
    "cable": Anomalies(_FINE, _FINE, 3),
    "capsule": Anomalies(_FINE, _FINE, 1, (200, 60), 0.7),
    "carpet": Anomalies(_LARGE, _LARGE, 2),
    "grid": Anomalies(_FINE, _LONG, 3),
    "hazelnut": Anomalies(_FINE, _LONG, 3, (20, 20), 0.7),
    "leather": Anomalies(_FINE, _FINE, 3),
    "metal_nut": Anomalies((0.05, 0.4), (0.05, 0.4), 1, (20, 20), 0.5),
    "pill": Anomalies(_FINE, _LONG, 2, (20, 20), 0.7),
    "screw": Anomalies(_FINE, _FINE, 1, (200, 60), 0.5),
    "tile": Anomalies(_FINE, _LONG, 1),
    "toothbrush": Anomalies(_FINE, _FINE, 3, (20, 20), 0.25),
    "transistor": Anomalies(_LARGE, _LARGE, 3),
    "wood": Anomalies(_FINE, _FINE, 3),
    "zipper": Anomalies(_LARGE, _LARGE, 3, (200, 60), 0.7),
    # MPDD
    "bracket_black": Anomalies(_FINE, _FINE, 1),
    "bracket_brown": Anomalies(_FINE, _FINE, 3),
    "bracket_white": Anomalies(_LARGE, _LARGE, 1, (130, 60), 0.7),
    "connector": Anomalies(_LARGE, _LARGE, 1),
    "metal_plate": Anomalies(_LARGE, _LARGE, 1),
    "tubes": Anomalies(_LARGE, _LARGE, 1),
}

# Categories whose parts lie at any angle.
ROTATION = ("grid", "screw", "bracket_black", "bracket_brown", "tubes")


def of_category(category: str) -> Anomalies:
    """What suits a category; one large rectangle for those not listed."""
    return CATEGORIES.get(category, Anomalies())


def descriptor_of(category: str) -> str:
    """The descriptor kind that suits a category."""
    return "rotation" if category in ROTATION else "plain"


def make(image: np.ndarray, anomalies: Anomalies, rng: np.random.Generator) -> tuple:
    """(image with pseudo-anomalies, mask of where it changed): H x W x 3 uint8 and H x W bool."""
    result = image.copy()
    objects = object_mask(image, anomalies.background)
    for patch in range(anomalies.patches):
        if patch == 0 or rng.random() < 0.5:
            paste_patch(image, result, objects, anomalies, rng)
    change = np.abs(result.astype(np.int16) - image).mean(axis=2)
    return result, median_filter(change > 1, size=5)


def object_mask(image: np.ndarray, background) -> Optional[np.ndarray]:
    """Where the object is, H x W bool; None without a plain background."""
    if background is None:
        return None
    brightness, threshold = background
    grey = image.astype(np.float32).mean(axis=2)
    return median_filter(np.abs(grey - brightness) > threshold, size=7)


def paste_patch(image, result, objects, anomalies: Anomalies, rng) -> None:
    """Pastes one rectangle of `image` into `result`, or nothing if no fitting place is found."""
    for _ in range(TRIES):
        height, width = (2 * half_width(side, bounds, rng)
                         for side, bounds in zip(image.shape, (anomalies.heights, anomalies.widths)))
        source, target = (rectangle(image.shape, height, width, rng) for _ in range(2))
        if objects is None or fits(objects[source], objects[target], anomalies.min_object):
            result[target] = image[source]
            return


def half_width(side: int, bounds: tuple, rng) -> int:
    """clip((0.03 + Gamma(2, 0.05)) side, lo side, hi side), whole pixels, at least 1."""
    low, high = bounds
    return max(1, int(np.clip((0.03 + rng.gamma(2, 0.05)) * side, low * side, high * side)))


def rectangle(shape: tuple, height: int, width: int, rng) -> tuple:
    """A rectangle of a given size anywhere inside the image, as two slices."""
    top, left = (int(rng.integers(0, side - length + 1)) for side, length in zip(shape, (height, width)))
    return slice(top, top + height), slice(left, left + width)


def fits(source: np.ndarray, target: np.ndarray, min_object: float) -> bool:
    """Whether the source shows enough of the object, and enough of that falls on the object at the target."""
    return source.mean() > min_object and (source & target).sum() > MIN_OVERLAP * source.sum()


# --- more varied ones ---

SMALL = Anomalies((0.01, 0.1), (0.01, 0.1), 3)


def make_varied(image: np.ndarray, rng: np.random.Generator) -> tuple:
    """As `make`, by chance a large rectangle, small ones, or one to three spots and scratches."""
    kind = rng.random()
    if kind < 0.25:
        return make(image, Anomalies(), rng)
    if kind < 0.4:
        return make(image, SMALL, rng)
    result, mask = image.astype(np.float32), np.zeros(image.shape[:2], bool)
    for _ in range(rng.integers(1, 4)):
        shape = soft_shape(image.shape[:2], rng)
        weight = shape[..., None]
        changed = (result * (1 - weight) + filling(result, rng) * weight).clip(0, 255)
        inside = shape > 0.3
        # No median here, it would wipe out thin scratches; a shape counts whole, or not at all where it hardly shows.
        if np.abs(changed - result).mean(axis=2)[inside].sum() > 4 * inside.sum():
            result, mask = changed, mask | inside
    return result.round().astype(np.uint8), mask


def soft_shape(size: tuple, rng) -> np.ndarray:
    """A scratch, an ellipse or a rectangle with soft edges: H x W, 0 to 1."""
    height, width = size
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    x, y = rng.uniform(0.05, 0.95, 2) * (width, height)
    kind = rng.integers(3)
    if kind == 0:
        draw.line(random_walk(x, y, rng.uniform(0.03, 0.15) * width, rng), fill=255, width=int(rng.integers(1, 6)))
    else:
        # Half-sizes from 1 to 20 % of the side, small ones as often as large ones.
        w, h = np.exp(rng.uniform(np.log(0.01), np.log(0.2), 2)) * (width, height)
        (draw.ellipse if kind == 1 else draw.rectangle)([x - w, y - h, x + w, y + h], fill=255)
    return np.asarray(canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 2))), np.float32) / 255


def random_walk(x: float, y: float, step: float, rng) -> list:
    """One to four steps whose direction wanders a little."""
    points, angle = [(x, y)], rng.uniform(0, 2 * np.pi)
    for _ in range(rng.integers(1, 5)):
        angle += rng.normal(0, 0.4)
        x, y = x + step * np.cos(angle), y + step * np.sin(angle)
        points.append((x, y))
    return points


def filling(image: np.ndarray, rng) -> np.ndarray:
    """What a shape shows: the image brighter or darker, another part of it, or grain. Float, H x W x 3."""
    kind = rng.integers(3)
    if kind == 0:
        return image + rng.choice([-1, 1]) * rng.uniform(15, 90)
    if kind == 1:
        shift = [int(rng.integers(side // 10, side - side // 10)) for side in image.shape[:2]]
        return np.roll(image, shift, axis=(0, 1)) + rng.normal(0, 10)
    return image + rng.normal(0, 40, image.shape[:2])[..., None]


def augment(image: np.ndarray, rng) -> np.ndarray:
    """A normal image shifted by up to 4 % and of a little other contrast and brightness."""
    margin = [side // 25 for side in image.shape[:2]]
    padded = np.pad(image, ((margin[0],) * 2, (margin[1],) * 2, (0, 0)), mode="reflect")
    top, left = (int(rng.integers(0, 2 * m + 1)) for m in margin)
    image = padded[top : top + image.shape[0], left : left + image.shape[1]].astype(np.float32)
    image = (image - 128) * rng.uniform(0.9, 1.1) + 128 + rng.uniform(-10, 10)
    return image.round().clip(0, 255).astype(np.uint8)
