"""A model that inspects photographs, and what it finds."""

import asyncio
import base64
import html
import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from pcsnet import _images, _native
from pcsnet._arguments import Path, Progress, command_line, paths, progress_of

#: The longest side of a notebook's picture, in pixels.
_SHOWN = 800
#: Photographs that are read ahead of a stream's reader, for each that the network takes at once.
_AHEAD = 16


class Region(NamedTuple):
    """A place where the map is above the threshold, in the photograph's pixels."""

    x: int
    y: int
    width: int
    height: int
    area: int
    """Pixels above the threshold."""
    peak: float
    """The map's largest value there."""
    mean: float
    """The map's mean there."""


class Detection:
    """What was found in one photograph.

    The map and the pictures are made when they are asked for. In a notebook a detection shows itself as an overlay.
    """

    def __init__(self, found: _native.Found, name: str) -> None:
        self._found = found
        self.name: str = name
        """The photograph's path, or `image N` by its number."""

    @property
    def score(self) -> float:
        """The largest value of the network's map: a float32."""
        return self._found.score

    @property
    def lowest(self) -> float:
        """The least value of the network's map."""
        return self._found.lowest

    @property
    def verdict(self) -> Literal["pass", "fail"] | None:
        """Whether the part is good; `None` where the model holds no threshold."""
        return self._found.verdict

    @property
    def unlike(self) -> bool | None:
        """Whether it shows something else than the parts that the model knows; `None` where the model can't tell."""
        return self._found.unlike

    @property
    def threshold(self) -> float | None:
        """The largest score that passes, where the model holds one."""
        return self._found.threshold

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the photograph."""
        width, height = self._found.dimensions
        return height, width

    @property
    def inspected(self) -> tuple[int, int, int, int]:
        """The part of the photograph that the network saw: left edge, upper edge, width, height."""
        return self._found.inspected

    @property
    def remarks(self) -> list[str]:
        """What is to be said of the file, such as that a part of it is missing."""
        return self._found.remarks

    @property
    def times(self) -> dict[str, float]:
        """Seconds that decoding, preprocessing, and the network with its transfers took."""
        return dict(zip(("decode", "preprocess", "network"), self._found.times))

    @cached_property
    def map(self) -> npt.NDArray[np.float32]:
        """The anomaly map, height x width, in the photograph's frame: larger is more anomalous, NaN not inspected."""
        return np.frombuffer(self._found.map(), np.float32).reshape(self.shape)

    @cached_property
    def regions(self) -> list[Region] | None:
        """Where the map is above the threshold, the highest peak first; `None` where the model holds no threshold."""
        regions = self._found.regions()
        return None if regions is None else [Region(*box, area, peak, mean) for box, area, peak, mean in regions]

    @cached_property
    def colours(self) -> tuple[float, float]:
        """The values of the first and the last colour: the model's, or else this map's own least and largest."""
        return self._found.colours()

    def heatmap(self) -> npt.NDArray[np.uint8]:
        """The map in colours, height x width x 3."""
        return self._picture(self._found.heatmap())

    def overlay(self) -> npt.NDArray[np.uint8]:
        """The map as heat over the photograph, height x width x 3, with outlines around the regions."""
        return self._picture(self._found.overlay())

    def overlay_png(self) -> bytes:
        """The overlay as a PNG file."""
        return bytes(self._found.png(max(self.shape)))

    def photograph(self) -> npt.NDArray[np.uint8]:
        """The photograph itself, upright, height x width x 3."""
        return self._picture(self._found.photograph())

    def _picture(self, pixels: bytearray) -> npt.NDArray[np.uint8]:
        return np.frombuffer(pixels, np.uint8).reshape((*self.shape, 3))

    def to_dict(self) -> dict[str, Any]:
        """What a line of the command's `scores.jsonl` says, but for files: ready for `json.dumps`."""
        height, width = self.shape
        x, y, seen_width, seen_height = self.inspected
        regions = self.regions
        return {
            "path": self.name,
            "score": self.score,
            "verdict": self.verdict,
            "lowest": self.lowest,
            "width": width,
            "height": height,
            "error": None,
            "remarks": self.remarks,
            "unlike": self.unlike,
            "inspected": {"x": x, "y": y, "width": seen_width, "height": seen_height},
            "regions": None if regions is None else [
                {"bounds": {"x": at.x, "y": at.y, "width": at.width, "height": at.height},
                 "area": at.area, "peak": at.peak, "mean": at.mean} for at in regions],
            "colours": list(self.colours),
        }

    def __repr__(self) -> str:
        verdict = f", {self.verdict}" if self.verdict else ""
        return f"<Detection of {self.name}: score {self.score:.6g}{verdict}>"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._found.png(_SHOWN)).decode()
        sign = "&gt;" if self.verdict == "fail" else "&le;"
        against = "" if self.threshold is None else f" {sign} {self.threshold:.4g}"
        caption = f"{html.escape(self.name)}: score {self.score:.4g}{against}"
        verdict = f" <b>{self.verdict}</b>" if self.verdict else ""
        return (f'<figure><img style="max-width: 100%" alt="anomalies as heat over the photograph" '
                f'src="data:image/png;base64,{picture}"><figcaption>{caption}{verdict}</figcaption></figure>')


class Detector:
    """A model that is ready to inspect photographs, on a graphics device.

    `model` is a bundle's path, or those of a backbone and a head. The other arguments are those of `pcsnet detect`,
    which says more of them (`pcsnet detect --help`):

    * `batch`: photographs, or tiles, that the device gets at once; scores do not depend on it
    * `precision`: `"f32"`, `"f16"`, `"f16-activations"` or `"f16-products"`
    * `tiles`: the side of overlapping tiles for large photographs, in pixels; 0 for none
    * `fit`: `"crop"` or `"stretch"`, by default as the model was trained
    * `range`: what is black and white in files of more than 8 bits a sample, such as `(0, 4095)`
    * `max_pixels`: the most pixels that a photograph may have
    * `jobs`: threads that read photographs while the device works
    * `adapter`: part of a graphics adapter's name; `backend`: `"vulkan"`, `"metal"`, `"dx12"` or `"gl"`
    * `tuning`: whether to measure which kernels are the fastest, the first time a model runs on a device (seconds)

    Threads may share a detector: Python's lock is free while it works. It can be pickled; the copy loads the model
    again.

    Raises `PcsnetError` for files that are no model, `DeviceError` without a device that can run it, and
    `ArgumentError`.
    """

    def __init__(
        self,
        model: Path | Iterable[Path],
        *,
        batch: int = 1,
        precision: str = "f32",
        tiles: int | None = None,
        fit: str | None = None,
        range: tuple[float, float] | None = None,
        max_pixels: int = 178_956_970,
        jobs: int | None = None,
        adapter: str | None = None,
        backend: str | None = None,
        tuning: bool = True,
    ) -> None:
        self._arguments = command_line(
            model=paths(model), batch=batch, precision=precision, tiles=tiles, fit=fit, range=range,
            max_pixels=max_pixels, jobs=jobs, adapter=adapter, backend=backend, no_tuning=not tuning)
        self._chunk, self._max_pixels = max(batch, 1) * _AHEAD, max_pixels
        self._native = _native.Detector(self._arguments)

    @property
    def threshold(self) -> float | None:
        """The largest score that passes, where the model holds one."""
        return self._native.threshold

    @property
    def scale(self) -> tuple[float, float] | None:
        """The values that get the first and the last colour in all photographs, where the model holds them."""
        return self._native.scale

    @property
    def framing(self) -> str:
        """How photographs are shown to the network, in words."""
        return self._native.framing

    @overload
    def detect(self, images: Path | bytes | npt.NDArray[np.uint8], *, progress: Progress | bool | None = None
               ) -> Detection: ...

    @overload
    def detect(self, images: Any, *, progress: Progress | bool | None = None) -> Any: ...

    def detect(self, images: Any, *, progress: Progress | bool | None = None) -> Any:
        """Inspects one photograph, which gives a `Detection`, or several, which give a list of them in order.

        A photograph is a path, the bytes of an image file or a pair of these and their name, a Pillow image, or an
        array of height x width x 3 (RGB), height x width x 4 (alpha is dropped) or height x width (grey), all of
        `uint8`: NumPy's, or any that offers its memory by DLPack or the buffer protocol. OpenCV's arrays are BGR: give
        `image[..., ::-1]`. Several are any iterable of these, or an array of 4 dimensions. `progress` is told
        `(step, done, total)`; `True` shows a bar (tqdm).

        Raises `ImageError` for the first photograph that cannot be inspected; `stream` goes on behind it.
        """
        if _images.is_one(images):
            return _raised(self._detect([images], 0, progress_of(progress))[0])
        return [_raised(result) for result in self._detect(list(_images.each(images)), 0, progress_of(progress))]

    def stream(self, images: Iterable[Any], *, on_error: Literal["raise", "return"] = "raise"
               ) -> Iterator[Detection | Exception]:
        """Inspects photographs without end, in order, a few of them in memory at a time.

        With `on_error="return"` the exception stands for a photograph that could not be inspected, and the stream goes
        on.
        """
        first, remaining = 0, iter(_images.each(images))
        while chunk := list(itertools.islice(remaining, self._chunk)):
            for result in self._detect(chunk, first, None, is_tolerant=True):
                yield _raised(result) if on_error == "raise" else result
            first += len(chunk)

    async def detect_async(self, images: Any) -> Any:
        """`detect` on a thread of its own, for programs on asyncio."""
        return await asyncio.to_thread(self.detect, images)

    def _detect(
        self, images: list[Any], first: int, progress: Progress | None, is_tolerant: bool = False
    ) -> list[Any]:
        results: list[Any] = []
        for number, image in enumerate(images, first):
            try:
                results.append(_images.native(image, number, self._max_pixels))
            except (TypeError, ValueError) as refusal:
                if not is_tolerant:
                    raise
                results.append(refusal)
        wanted = [at for at, result in enumerate(results) if not isinstance(result, Exception)]
        found = self._native.detect([results[at] for at in wanted], progress)
        for at, result in zip(wanted, found):
            name = _images.name_of(results[at], first + at)
            results[at] = result if isinstance(result, Exception) else Detection(result, name)
        return results

    def __reduce__(self) -> Any:
        return _again, (self._arguments, self._chunk, self._max_pixels)

    def __repr__(self) -> str:
        return f"<Detector, photographs {self.framing}, threshold {self.threshold}>"


def _again(arguments: list[str], chunk: int, max_pixels: int) -> Detector:
    detector = Detector.__new__(Detector)
    detector._arguments, detector._chunk, detector._max_pixels = arguments, chunk, max_pixels
    detector._native = _native.Detector(arguments)
    return detector


def _raised(result: Any) -> Any:
    if isinstance(result, Exception):
        raise result
    return result
