"""Detections without end: memory and handles stay flat, and every score is the first one's to the last bit.

`PCSNET_SOAK=10000 cargo test --test python` says how many detections; by default there are few. They are made in a
process of their own, because what other tests have started there goes on taking memory.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import pcsnet

COUNT = int(os.environ.get("PCSNET_SOAK", 500))
#: Allocators and drivers take their time to fill what they keep.
SETTLED = COUNT // 5


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and handles are read from /proc")
def test_detections_without_end(small_model, photographs):
    subprocess.run([sys.executable, __file__, str(small_model), *map(str, photographs[:2])], check=True)


def held():
    """Bytes of memory and open files of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))


def detect_without_end(model, first, second):
    detector = pcsnet.Detector(model, tuning=False)
    noise = np.random.default_rng(1).integers(0, 256, (4, 96, 128, 3), np.uint8)
    forms = [*noise, first, Path(second).read_bytes()]
    expected = [detector.detect(form).score for form in forms]
    start, before = time.monotonic(), None
    for number in range(COUNT):
        detection = detector.detect(forms[number % len(forms)])
        assert detection.score == expected[number % len(forms)], f"detection {number}"
        detection.map, detection.to_dict()
        if number % 20 == 0:
            detection.overlay(), detection.heatmap(), detection._repr_html_()
            # What goes wrong must not pile up, either.
            with pytest.raises(pcsnet.ImageError):
                detector.detect(b"no image at all")
            assert len(list(detector.stream(forms))) == len(forms)
        if number == SETTLED:
            before = held()
    after = held()
    print(f"{COUNT} detections in {time.monotonic() - start:.0f} s: bytes and open files {before}, then {after}")
    # A kept photograph of 256 x 256 pixels with its map and pictures is a megabyte, of 96 x 128 a tenth of that.
    assert after[0] - before[0] < 10 << 20
    assert after[1] <= before[1]


if __name__ == "__main__":
    detect_without_end(*sys.argv[1:])
