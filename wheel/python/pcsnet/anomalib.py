"""A PCSNet model where an anomalib program has an `Inferencer`.

    from pcsnet.anomalib import PcsnetInferencer
    prediction = PcsnetInferencer("part.safetensors").predict("part.png")    # an anomalib.data.NumpyImageBatch
    print(prediction.pred_label, prediction.pred_score, prediction.anomaly_map)

It needs anomalib 2 (`pip install "pcsnet[anomalib]"`).
"""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
from anomalib.data import NumpyImageBatch  # type: ignore[import-untyped, import-not-found, unused-ignore]

from pcsnet._arguments import Path
from pcsnet._detector import Detection, Detector
from pcsnet._errors import ImageError


class PcsnetInferencer:
    """Takes what anomalib's `OpenVINOInferencer` takes, and gives what it gives.

    `path` is the model, a bundle or its backbone and head, and `detector` are the other arguments of
    `pcsnet.Detector`. With `normalize`, maps and scores are as anomalib's `PostProcessor` makes them: 0 to 1 over the
    model's colour scale, the threshold at 0.5. Otherwise, and where the model holds no colour scale
    (`pcsnet.calibrate`), they are the network's own values.
    """

    def __init__(self, path: Path | list[Path], *, normalize: bool = True, **detector: Any) -> None:
        self.detector = Detector(path, **detector)
        self.normalize = normalize

    def predict(self, image: Any) -> NumpyImageBatch:
        """Inspects one photograph, or several of one size, as an array of 4 dimensions.

        A photograph is a path, a Pillow image, or an array or PyTorch tensor, channels last or first, of `uint8` or of
        floats from 0 to 1 (to 255 where any is above 1), on any device.

        Gives the photographs (`image`, N x H x W x 3, 0 to 1), `anomaly_map` (N x H x W, NaN where not inspected) and
        `pred_score` (N), and where the model holds a threshold `pred_label` (N) and `pred_mask` (N x H x W).

        Raises what `pcsnet.Detector.detect` does.
        """
        found = self.detector.detect(_photographs(image))
        detections: list[Detection] = found if isinstance(found, list) else [found]
        maps = np.stack([detection.map for detection in detections])
        scores = np.array([detection.score for detection in detections], np.float32)
        threshold = self.detector.threshold
        return NumpyImageBatch(
            image=np.stack([detection.photograph() for detection in detections]).astype(np.float32) / 255,
            image_path=[os.fspath(image)] if isinstance(image, (str, os.PathLike)) else None,
            anomaly_map=self._normalized(maps),
            pred_score=self._normalized(scores),
            pred_label=None if threshold is None else scores > np.float32(threshold),
            pred_mask=None if threshold is None else maps > np.float32(threshold),
        )

    __call__ = predict

    def _normalized(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if not self.normalize or self.detector.scale is None:
            return values
        low, high = self.detector.scale
        middle = (low + high) / 2 if self.detector.threshold is None else self.detector.threshold
        normalized: npt.NDArray[np.float32] = (values - np.float32(middle)) / np.float32(high - low) + np.float32(0.5)
        return normalized.clip(0, 1)


def _photographs(image: Any) -> Any:
    """Arrays as `Detector` takes them, and all else as it is."""
    if hasattr(image, "detach"):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        return image
    if image.ndim > 2 and image.shape[-3] in (1, 3) and image.shape[-1] not in (1, 3, 4):
        image = np.moveaxis(image, -3, -1)
    return _to_bytes(image) if image.dtype.kind == "f" and image.size else image


def _to_bytes(image: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    low, high = image.min(), image.max()
    # Not the other way about: NaN is neither.
    if not (low >= 0 and high <= 255):
        raise ImageError(f"a photograph of floats goes from 0 to 1 or to 255, this one from {low} to {high}: give it "
                         "as it was before it was normalised by mean and standard deviation")
    pixels: npt.NDArray[np.uint8] = np.rint(image * (255 if high <= 1 else 1)).astype(np.uint8)
    return pixels
