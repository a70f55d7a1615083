"""`pcsnet.ray` on a cluster of two nodes, with workers and programs that are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, SAMPLES
from PIL import Image

import pcsnet

# Ray's workers are nice to all others by default, which starves them on a busy machine.
os.environ["RAY_worker_niceness"] = "0"
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[data]'")
if not sys.platform.startswith("linux"):
    pytest.skip("worker processes are found by /proc", allow_module_level=True)

from pyarrow import fs  # noqa: E402
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
    """Looks at the results in a folder of this machine."""
    check_rows(out, expected)
    for row in fleet.results(out).to_pylist():
        if row["overlay"] is not None:
            assert np.array_equal(np.asarray(Image.open(Path(out) / row["overlay"])), expected[row["path"]].overlay())
    assert not list(Path(out).rglob(".pcsnet-*"))


def check_rows(out, expected):
    rows = fleet.results(out).to_pylist()
    assert [row["path"] for row in rows] == sorted(expected)
    for row in rows:
        one = expected[row["path"]]
        if isinstance(one, Exception):
            assert row["score"] is row["overlay"] is None and "broken.png" in row["error"]
            continue
        assert (row["score"], row["verdict"], row["error"]) == (one.score, one.verdict, None)
        assert [tuple(region.values()) for region in row["regions"]] == one.regions
        assert row["overlay"] is not None


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


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def bucket(folder):
    """The photographs in an object store of this machine: its address with `{}` for a folder."""
    moto = pytest.importorskip("moto.server", reason="moto is not installed: pip install 'moto[server]'")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    uri = f"s3://key:secret@line/{{}}?scheme=http&region=us-east-1&endpoint_override={host}:{port}"
    system = fs.S3FileSystem(access_key="key", secret_key="secret", scheme="http", region="us-east-1",
                             endpoint_override=f"{host}:{port}", allow_bucket_creation=True)
    system.create_dir("line")
    fs.copy_files(str(folder), "line/photographs", destination_filesystem=system)
    yield uri
    server.stop()


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


PROGRAM = """
import sys, ray
from pcsnet import ray as fleet
address, folder, model, out, part = sys.argv[1:]
ray.init(address=address, log_to_driver=False)
fleet.inspect(folder, model, out, workers=2, part=int(part), tuning=False)
"""


def test_a_killed_program_goes_on_where_it_was(cluster, folder, expected, tmp_path):
    arguments = [sys.executable, "-c", PROGRAM, cluster.address, folder, MODEL, tmp_path, str(PART)]
    with subprocess.Popen(list(map(str, arguments)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as program:
        wait_for(lambda: parts_in(tmp_path) or program.poll() is not None)
        program.send_signal(signal.SIGKILL)
    # Its workers end when the cluster hears of it; what they still write counts, too.
    wait_for(lambda: not workers())
    before = parts_in(tmp_path)
    counts = fleet.inspect(f"file://{folder}", MODEL, tmp_path, workers=2, part=PART, tuning=False)
    assert 0 < counts["before"] < counts["all"] == counts["before"] + counts["inspected"] == len(expected)
    after = parts_in(tmp_path)
    assert {name: after[name] for name in before} == before
    check(tmp_path, expected)


def test_an_object_store(cluster, bucket, expected):
    source, out = bucket.format("photographs"), bucket.format("inspected")
    counts = fleet.inspect(source, MODEL, out, workers=2, part=5, tuning=False)
    assert counts == {"all": len(expected), "before": 0, "inspected": len(expected), "failed": 1}
    check_rows(out, expected)
    assert fleet.inspect(source, MODEL, out, tuning=False)["inspected"] == 0


def test_results_of_different_models_do_not_mix(cluster, folder, tmp_path):
    (tmp_path / "run.json").write_text('{"model": ["another"], "overlays": true}')
    with pytest.raises(pcsnet.PcsnetError, match="another model or other settings"):
        fleet.inspect(folder, MODEL, tmp_path, tuning=False)
    with pytest.raises(pcsnet.PcsnetError, match="cannot read nowhere"):
        fleet.inspect(folder, "nowhere", tmp_path / "out", tuning=False)
