"""`PcsnetInferencer` against anomalib's own data classes and post-processing."""

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import pcsnet

pytest.importorskip("anomalib.data", reason="anomalib is not installed: pip install 'anomalib[cpu]'")

import torch  # noqa: E402
from anomalib.data import NumpyImageBatch, NumpyImageItem  # noqa: E402
from anomalib.data.utils import read_image  # noqa: E402
from anomalib.deploy import OpenVINOInferencer  # noqa: E402
from anomalib.post_processing import PostProcessor  # noqa: E402

from pcsnet.anomalib import PcsnetInferencer  # noqa: E402

MODEL = ROOT / "weights" / "default.safetensors"


@pytest.fixture(scope="module")
def inferencer():
    return PcsnetInferencer(MODEL, tuning=False)


def test_it_gives_what_anomalibs_inferencers_give(inferencer, detector, photographs):
    wanted = OpenVINOInferencer.predict.__annotations__
    assert wanted["return"] is NumpyImageBatch
    for path in photographs[0], next(path for path in photographs if path.parent.name == "good"):
        batch, alone = inferencer.predict(path), detector.detect(path)
        assert type(batch) is NumpyImageBatch and batch.image_path == [str(path)]
        assert np.array_equal(np.rint(255 * batch.image), alone.photograph()[np.newaxis])
        assert batch.pred_label.tolist() == [alone.verdict == "fail"]
        assert np.array_equal(batch.pred_mask, alone.map[np.newaxis] > alone.threshold)
        (item,) = batch
        assert type(item) is NumpyImageItem and item.anomaly_map.shape == alone.shape
        assert item.image_path == str(path)


def test_it_is_normalised_as_anomalib_normalises(inferencer, detector, photographs):
    found = detector.detect(photographs)
    low, high = map(torch.tensor, detector.scale)
    threshold = torch.tensor(detector.threshold)
    # Of a difference of numbers below 1, and a quotient, in float32.
    tolerance = {"atol": 4 * np.finfo(np.float32).eps / (high - low).item(), "rtol": 0}
    for path, alone in zip(photographs, found):
        batch = inferencer(path)
        wanted = PostProcessor._normalize(torch.from_numpy(alone.map.copy()), low, high, threshold).numpy()
        np.testing.assert_allclose(batch.anomaly_map[0], wanted, **tolerance)
        wanted = PostProcessor._normalize(torch.tensor(alone.score), low, high, threshold).item()
        np.testing.assert_allclose(batch.pred_score, [wanted], **tolerance)
        assert (batch.pred_score[0] > 0.5) == (alone.verdict == "fail")


def test_it_takes_what_anomalibs_inferencers_take(inferencer, photographs):
    path = photographs[0]
    expected = inferencer.predict(path)
    pixels = np.asarray(Image.open(path).convert("RGB"))
    forms = [str(path), Image.open(path), pixels, read_image(path), read_image(path, as_tensor=True),
             pixels.astype(np.float32), pixels[np.newaxis], torch.from_numpy(pixels.copy()),
             read_image(path, as_tensor=True)[None].double()]
    for form in forms:
        batch = inferencer.predict(form)
        assert batch.pred_score == expected.pred_score
        assert np.array_equal(batch.anomaly_map, expected.anomaly_map, equal_nan=True)
    together = inferencer.predict(torch.stack([read_image(path, as_tensor=True) for path in photographs[:2]]))
    assert together.pred_score.tolist() == [inferencer.predict(path).pred_score.item() for path in photographs[:2]]


def test_raw_values(detector, photographs):
    alone = detector.detect(photographs[0])
    batch = PcsnetInferencer(MODEL, normalize=False, tuning=False).predict(photographs[0])
    assert batch.pred_score.tolist() == [alone.score] and batch.anomaly_map.tobytes() == alone.map.tobytes()


def test_a_model_without_a_threshold_says_no_more_than_its_values(small_model, photographs):
    batch = PcsnetInferencer(small_model, tuning=False).predict(photographs[0])
    assert (batch.pred_label, batch.pred_mask) == (None, None) and batch.pred_score.shape == (1,)


@pytest.mark.parametrize("image, says", [
    (torch.full((3, 40, 50), -1.0), "from -1.0 to -1.0.*normalised"),
    (np.full((40, 50, 3), np.nan), "nan.*normalised"),
    (np.full((40, 50, 3), 256.0), "256"),
    (np.zeros((0, 50, 3), np.float32), "uint8"),
    (torch.zeros((3, 40, 50), dtype=torch.int32), "int32"),
], ids=str)
def test_bad_input_says_what_to_do(inferencer, image, says):
    with pytest.raises(pcsnet.ImageError, match=says):
        inferencer.predict(image)
