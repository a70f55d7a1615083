"""`pcsnet.ray` on a cluster of two nodes, with a worker that is killed."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SAMPLES
from PIL import Image

import pcsnet

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
if not sys.platform.startswith("linux"):
    pytest.skip("worker processes are found by /proc", allow_module_level=True)

from ray.cluster_utils import Cluster  # noqa: E402

from pcsnet import ray as fleet  # noqa: E402

MODEL = str(ROOT / "weights" / "default.safetensors")
PART, COPIES = 2, 1


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The samples in several brightnesses, and a file that is no photograph."""
    folder = tmp_path_factory.mktemp("photographs")
    for number, path in enumerate(sorted(SAMPLES.glob("*/*.png"))):
        for copy in range(COPIES):
            pixels = np.asarray(Image.open(path).convert("RGB")) * (1 - 0.02 * copy)
            (folder / f"line {copy}").mkdir(exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"line {copy}" / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no image at all")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    """What one process finds, by path."""
    paths = pcsnet.images(folder)
    found = pcsnet.Detector(MODEL, tuning=False).stream(paths, on_error="return")
    return {os.path.relpath(path, folder): result for path, result in zip(paths, found)}


def check(out, expected):
    rows = fleet.results(out).to_pylist()
    assert [row["path"] for row in rows] == sorted(expected)
    for row in rows:
        one = expected[row["path"]]
        if isinstance(one, Exception):
            assert row["score"] is None and "broken.png" in row["error"]
            continue
        assert (row["score"], row["verdict"], row["error"]) == (one.score, one.verdict, None)
        assert [tuple(region.values()) for region in row["regions"]] == one.regions
        assert np.array_equal(np.asarray(Image.open(Path(out) / row["overlay"])), one.overlay())
    assert not list(Path(out).rglob(".pcsnet-*"))


def parts_in(out):
    return {file.name: file.stat().st_mtime_ns for file in (Path(out) / "parts").glob("*.parquet")}


def workers():
    """The processes of this test's own cluster that hold a model."""
    parents, found = {}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if b"MapWorker(" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue

    def is_ours(process):
        while process in parents and process != os.getpid():
            process = parents[process]
        return process == os.getpid()
    return list(filter(is_ours, found))


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def test_a_killed_worker_loses_nothing(cluster, folder, expected, tmp_path):
    killed = []

    def kill():
        wait_for(lambda: parts_in(tmp_path) and workers())
        killed.append(workers()[0])
        os.kill(killed[0], signal.SIGKILL)

    killer, told = threading.Thread(target=kill), []
    killer.start()
    counts = fleet.inspect(
        folder, MODEL, tmp_path, workers=2, part=PART, tuning=False, progress=lambda *at: told.append(at))
    killer.join()
    assert killed and counts == {"all": len(expected), "before": 0, "inspected": len(expected), "failed": 1}
    assert told[-1] == ("inspecting", len(expected), len(expected))
    check(tmp_path, expected)

    before = parts_in(tmp_path)
    again = fleet.inspect(folder, MODEL, tmp_path, workers=2, part=PART, tuning=False)
    assert again == {"all": len(expected), "before": len(expected), "inspected": 0, "failed": 0}
    assert parts_in(tmp_path) == before
