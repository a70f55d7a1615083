"""`Detector` against the command, PyTorch's scores and what Python programs do to it."""

import asyncio
import base64
import csv
import io
import json
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT, SAMPLES
from PIL import Image

import pcsnet


def pixels_of(path):
    return np.asarray(Image.open(path).convert("RGB"))


def test_scores_are_pytorchs(detector, photographs):
    with open(ROOT / "samples" / "expected_scores.csv", newline="") as table:
        expected = {SAMPLES.parent / row["path"]: float(row["score"]) for row in csv.DictReader(table)}
    found = detector.detect(photographs)
    assert [detection.score for detection in found] == pytest.approx([expected[path] for path in photographs], abs=2e-5)
    # What is good is known by the folder.
    assert [one.verdict for one in found] == ["pass" if path.parent.name == "good" else "fail" for path in photographs]


def test_equals_the_command_bit_for_bit(detector, photographs, command, tmp_path):
    model = ROOT / "weights" / "default.safetensors"
    command("detect", "--model", model, "--raw", "--out", tmp_path, SAMPLES, codes=(4,))
    rows = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == list(map(str, photographs))
    for row, detection in zip(rows, detector.detect(photographs), strict=True):
        map_file, overlay, heatmap = row.pop("map"), row.pop("overlay"), row.pop("heatmap")
        assert np.float32(detection.score) == np.float32(row["score"])
        assert np.load(tmp_path / map_file).tobytes() == detection.map.tobytes()
        assert np.array_equal(pixels_of(tmp_path / overlay), detection.overlay())
        assert np.array_equal(pixels_of(tmp_path / heatmap), detection.heatmap())
        # JSON has the shortest digits of each float32, Python those of a double.
        said = json.loads(json.dumps(detection.to_dict()), parse_float=np.float32)
        assert said == json.loads(json.dumps(row), parse_float=np.float32)


class Tensor:
    """An array of another library, that offers its memory by DLPack alone."""

    def __init__(self, array, device=None):
        self._array, self._device = array, device

    @property
    def shape(self):
        return self._array.shape

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device or self._array.__dlpack_device__()


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("form", [
    str,
    lambda path: path.read_bytes(),
    lambda path: (path.read_bytes(), path.name),
    Image.open,
    pixels_of,
    lambda path: memoryview(pixels_of(path).copy()),
    lambda path: memoryview(np.repeat(pixels_of(path), 2, 0))[::2],
    lambda path: Tensor(pixels_of(path).copy()),
    lambda path: Tensor(np.repeat(pixels_of(path), 2, 1)[:, ::2]),
    lambda path: read_only(pixels_of(path)),
    lambda path: memoryview(read_only(pixels_of(path))),
    lambda path: np.asfortranarray(pixels_of(path)),
    lambda path: pixels_of(path)[..., ::-1].copy()[..., ::-1],
    lambda path: np.dstack([pixels_of(path), np.zeros(pixels_of(path).shape[:2], np.uint8)]),
], ids="path bytes named-bytes Pillow NumPy buffer strided-buffer DLPack strided-DLPack read-only read-only-buffer "
        "Fortran BGR RGBA".split())
def test_forms_of_a_photograph(detector, photographs, form):
    assert detector.detect(form(photographs[0])).map.tobytes() == detector.detect(photographs[0]).map.tobytes()


def test_grey(detector, photographs):
    grey = pixels_of(photographs[0])[..., 1]
    as_colours = detector.detect(np.dstack([grey] * 3)).score
    forms = [grey, grey[..., np.newaxis], Image.fromarray(grey)]
    assert [detector.detect(form).score for form in forms] == 3 * [as_colours]


def test_several(detector, photographs):
    alone = [detector.detect(path).score for path in photographs[:3]]
    together = np.stack([pixels_of(path) for path in photographs[:3]])
    for several in (photographs[:3], tuple(photographs[:3]), together, Tensor(together), map(str, photographs[:3])):
        assert [detection.score for detection in detector.detect(several)] == alone
    assert detector.detect([]) == []
    assert pcsnet.images(SAMPLES) == list(map(str, photographs))


SOUND = np.zeros((40, 50, 3), np.uint8)


@pytest.mark.parametrize("image, error, says", [
    (SOUND.astype(np.float32), pcsnet.ImageError, "float32.*uint8.*255"),
    (np.full((40, 50, 3), np.nan), pcsnet.ImageError, "holds NaN"),
    (SOUND.astype(np.uint16), pcsnet.ImageError, "uint16.*16-bit PNG or TIFF"),
    (SOUND.astype(bool), pcsnet.ImageError, "bool.*black and white"),
    (SOUND.astype(object), pcsnet.ImageError, "object.*astype"),
    (SOUND.astype(np.int8), pcsnet.ImageError, "int8.*uint8"),
    (SOUND.astype(complex), pcsnet.ImageError, "complex128.*uint8"),
    (SOUND.view([("r", "u1"), ("g", "u1"), ("b", "u1")]), pcsnet.ImageError, "uint8"),
    (np.full((40, 50, 3), np.inf, np.float16), pcsnet.ImageError, "float16.*uint8"),
    (memoryview(SOUND.astype(np.float32)), pcsnet.ImageError, "float32.*uint8"),
    (np.moveaxis(SOUND, -1, 0), pcsnet.ImageError, r"\(3, 40, 50\).*channels come last.*moveaxis"),
    (np.zeros((40, 50, 2), np.uint8), pcsnet.ImageError, r"\(40, 50, 2\).*height x width x 3"),
    (np.zeros(50, np.uint8), pcsnet.ImageError, "height x width x 3"),
    (np.zeros((), np.uint8), pcsnet.ImageError, "height x width x 3"),
    (np.zeros((1, 1, 40, 50, 3), np.uint8), pcsnet.ImageError, "height x width x 3"),
    (np.zeros((2, 40, 50, 5), np.uint8), pcsnet.ImageError, r"image 0.*\(40, 50, 5\)"),
    (np.zeros((0, 50, 3), np.uint8), pcsnet.ImageError, "no pixels"),
    (np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)), pcsnet.ImageError, "20000 x 20000 pixels.*max_pixels"),
    (Tensor(SOUND, (2, 0)), TypeError, "graphics card's memory.*cpu"),
    (Image.new("I;16", (50, 40)), pcsnet.ImageError, "I;16.*path"),
    (b"", pcsnet.ImageError, "empty"),
    (b"no image at all", pcsnet.ImageError, "image 0"),
    ("missing.png", pcsnet.PcsnetError, "cannot read missing.png"),
    ("nul\0byte.png", pcsnet.PcsnetError, "cannot read"),
    (".", pcsnet.PcsnetError, "no regular file"),
    (7, TypeError, "int.*iter"),
    ([7], TypeError, "image 0 is a int; a path"),
    (None, TypeError, "NoneType"),
], ids=str)
def test_bad_input_says_what_to_do(detector, image, error, says):
    with pytest.raises(error, match=says):
        detector.detect(image)


def test_a_huge_array_is_refused_before_it_is_copied(detector):
    huge = np.broadcast_to(np.uint8(0), (200_000, 200_000, 3))
    start = time.monotonic()
    with pytest.raises(pcsnet.ImageError, match="40000000000"):
        detector.detect(huge)
    assert time.monotonic() - start < 1


def test_a_stream_goes_on(detector, photographs):
    given = [photographs[0], "missing.png", np.zeros((1, 1, 5), np.uint8), photographs[1]]
    first, missing, wrong, last = detector.stream(iter(given), on_error="return")
    assert (first.name, last.name) == (str(photographs[0]), str(photographs[1]))
    assert isinstance(missing, pcsnet.PcsnetError) and isinstance(wrong, pcsnet.ImageError)
    with pytest.raises(pcsnet.PcsnetError, match="missing.png"):
        list(detector.stream(given))


@pytest.mark.parametrize("options, error, says", [
    ({"precision": "f64"}, pcsnet.ArgumentError, "f64.*f32"),
    ({"batch": 0}, pcsnet.ArgumentError, "0"),
    ({"tiles": 512, "fit": "crop"}, pcsnet.ArgumentError, "cannot be used with"),
    ({"range": (5, 5)}, pcsnet.ArgumentError, "5,5"),
    ({"adapter": "no such card"}, pcsnet.DeviceError, "no such card"),
])
def test_bad_arguments(options, error, says):
    with pytest.raises(error, match=says):
        pcsnet.Detector(ROOT / "weights" / "default.safetensors", **options)


def test_files_that_are_no_model(tmp_path, photographs):
    with pytest.raises(pcsnet.PcsnetError, match="cannot read .*nowhere"):
        pcsnet.Detector(tmp_path / "nowhere")
    with pytest.raises(pcsnet.PcsnetError, match="not a usable safetensors file"):
        pcsnet.Detector(photographs[0])


def test_threads_share_a_detector(detector, photographs):
    alone = [detection.score for detection in detector.detect(photographs[:4])]
    found, counted, is_done = [None] * 4, [0], threading.Event()

    def inspect(at):
        found[at] = detector.detect(photographs[at]).score

    def count():
        while not is_done.is_set():
            counted[0] += 1
            time.sleep(0.001)

    threads = [threading.Thread(target=inspect, args=(at,)) for at in range(4)]
    counter = threading.Thread(target=count)
    for thread in (counter, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    is_done.set()
    counter.join()
    assert found == alone
    assert counted[0] > 20, "Python's lock was held"


def test_asyncio(detector, photographs):
    async def all_at_once():
        return await asyncio.gather(*(detector.detect_async(path) for path in photographs[:2]))
    assert [one.score for one in asyncio.run(all_at_once())] == [one.score for one in detector.detect(photographs[:2])]


def test_progress(detector, photographs):
    told = []
    detector.detect(photographs[:3], progress=lambda *at: told.append(at))
    assert told == [("inspecting", done, 3) for done in (1, 2, 3)]

    def refuse(step, done, total):
        raise RuntimeError("enough")
    start = time.monotonic()
    with pytest.raises(RuntimeError, match="enough"):
        detector.detect(photographs * 100, progress=refuse)
    assert time.monotonic() - start < 30
    assert detector.detect(photographs[0]).verdict == "fail"


# Where the tests themselves run in a shell's background, programs start with interrupts ignored.
INTERRUPTED = """
import signal, sys, pcsnet
signal.signal(signal.SIGINT, signal.default_int_handler)
detector = pcsnet.Detector(sys.argv[1], tuning=False)
detector.detect(sys.argv[2])
print("ready", flush=True)
try:
    detector.detect([sys.argv[2]] * 100_000)
except KeyboardInterrupt:
    print(detector.detect(sys.argv[2]).verdict)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to one process")
def test_an_interrupt_ends_the_work_and_nothing_else(photographs):
    program = [sys.executable, "-c", INTERRUPTED, ROOT / "weights" / "default.safetensors", photographs[0]]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        try:
            said, _ = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (said, process.returncode) == ("fail\n", 0)


def test_a_notebook_shows_the_overlay(detector, photographs):
    large = np.repeat(np.repeat(pixels_of(photographs[0]), 6, 0), 5, 1)
    html = detector.detect(large)._repr_html_()
    picture = Image.open(io.BytesIO(base64.b64decode(html.split("base64,")[1].split('"')[0])))
    height, width = large.shape[:2]
    assert picture.size == (800 * width // height, 800)
    assert "fail" in html and "image 0" in html


def test_a_pickled_detector_loads_its_model_again(detector, photographs):
    again = pickle.loads(pickle.dumps(detector))
    assert again.detect(photographs[0]).score == detector.detect(photographs[0]).score


def test_damaged_files_are_told_of(detector, photographs, tmp_path, caplog):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(photographs[0].read_bytes()[:-20_000])
    detection = detector.detect(damaged)
    assert detection.remarks and np.isnan(detection.map).any()
    assert "damaged.png" in caplog.text and caplog.records[0].name == "pcsnet"
