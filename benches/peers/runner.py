"""What the runners `run_*.py` share: their arguments, the timing, and the line of JSON they print.

    {"engine": str, "version": str, "adapter": str, "first_ms": float, "runs_ms": [float, ...], "map": path}
    {"engine": str, "skipped": reason}

A run goes from a float image on the host to a float map on the host. The first run is the first after the model was
loaded; kernels that an engine compiles on first use are compiled in it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np


def options(description: str, extra=lambda parser: None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, required=True, help="holds input.npy and the exported network")
    parser.add_argument("--model", action="append", default=[], help="safetensors file; repeat for one in parts")
    parser.add_argument("--map", type=Path, required=True, help="file for the map, .npy")
    parser.add_argument("--runs", type=int, default=3, help="runs after the first (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=60, help="seconds after which no further run is begun "
                        "(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="default: all processors")
    extra(parser)
    return parser.parse_args()


def measure(run, options) -> dict:
    """Times `run` (image: 1 x 3 x S x S -> map with S x S values) and writes the map of its last call."""
    image = np.load(options.folder / "input.npy")
    times = []
    begin = time.perf_counter()
    while len(times) <= options.runs and (not times or time.perf_counter() - begin < options.budget):
        start = time.perf_counter()
        result = run(image)
        times.append((time.perf_counter() - start) * 1e3)
    save_map(options, result)
    return {"first_ms": times[0], "runs_ms": times[1:], "map": str(options.map)}


def save_map(options, values: np.ndarray) -> None:
    np.save(options.map, np.asarray(values, np.float32).squeeze())


def report(engine: str, version: str, adapter: str, measured: dict) -> None:
    print(json.dumps({"engine": engine, "version": version, "adapter": adapter, **measured}))


def skip(engine: str, reason: str) -> None:
    """Ends the runner: the engine cannot be measured here."""
    print(json.dumps({"engine": engine, "skipped": " ".join(str(reason).split())}))
    sys.exit()


def outdated(file: Path, sources: list) -> bool:
    """Whether a file is missing or older than one of those it is made from."""
    return not file.exists() or any(file.stat().st_mtime < Path(source).stat().st_mtime for source in sources)


def processor(threads: int) -> str:
    return f"CPU, {threads} threads"


def vulkan_device() -> str:
    """The first Vulkan device and its driver, as `vulkaninfo` names them, for engines that do not."""
    if not shutil.which("vulkaninfo"):
        return "first Vulkan device"
    summary = subprocess.run(["vulkaninfo", "--summary"], capture_output=True, text=True).stdout
    fields = dict(line.split("=", 1) for line in reversed(summary.splitlines()) if "=" in line)
    fields = {name.strip(): value.strip() for name, value in fields.items()}
    return f"{fields.get('deviceName', 'first Vulkan device')}, {fields.get('driverInfo', 'driver not named')}"
