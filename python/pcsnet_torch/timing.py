"""How long the network takes in PyTorch, beside the engine's own command on the same device, in turn.

A run goes from host to host, as in `pcsnet bench`: 8-bit pixels to the device, the network, blurred maps and their
maxima back.
"""

import json
import statistics
import subprocess
import time
from dataclasses import dataclass

import torch

from pcsnet_torch import bundle
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.preprocess import normalization

WARM_UP = 5
MOST_RUNS = 1000


@dataclass(frozen=True)
class Way:
    """How PyTorch computes: with products rounded to TF32 or not, layout, numbers, and whether by `torch.compile`."""

    tf32: bool = False
    channels_last: bool = False
    half: bool = False
    compiled: bool = False


WAYS = {
    "eager": Way(),
    "eager, TF32": Way(tf32=True),
    "channels last": Way(channels_last=True),
    "channels last, TF32": Way(tf32=True, channels_last=True),
    "channels last, f16": Way(tf32=True, channels_last=True, half=True),
    "compiled, channels last": Way(channels_last=True, compiled=True),
    "compiled, channels last, TF32": Way(tf32=True, channels_last=True, compiled=True),
    "compiled, channels last, f16": Way(tf32=True, channels_last=True, half=True, compiled=True),
}


def measure(models, device: str, batch: int, ways: list, seconds: float, rounds: int, beside: list) -> list:
    """One row a way: `{"engine", "batch", "median_ms", "runs_ms"}`.

    Every round runs each of PyTorch's `ways` for some seconds, then each command of `beside`, lists of words that print
    the JSON of `pcsnet bench --json`, by the name it is given.
    """
    runs = {f"PyTorch {torch.__version__}, {way}": opened(models, device, batch, WAYS[way]) for way in ways}
    times = {}
    for _ in range(rounds):
        for name, run in runs.items():
            times.setdefault(name, []).extend(timed(run, seconds))
        for name, words in beside:
            times.setdefault(name, []).extend(times_of(words))
    return [{"engine": name, "batch": batch, "median_ms": statistics.median(found), "runs_ms": found}
            for name, found in times.items()]


def opened(models, device: str, batch: int, way: Way):
    """A function that runs the network once on pixels it keeps, warmed up."""
    layout = torch.channels_last if way.channels_last else torch.contiguous_format
    numbers = torch.float16 if way.half else torch.float32
    network, _ = bundle.load(models, device)
    network = network.to(dtype=numbers, memory_format=layout)
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in normalization(network.config))
    side = network.config.input
    pixels = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)

    def maps(pixels):
        image = ((pixels.float() / 255 - mean) / std).to(dtype=numbers, memory_format=layout)
        found = network.anomaly_map(image)
        return found, found.amax(dim=(1, 2, 3))

    compute = torch.compile(maps, mode="reduce-overhead") if way.compiled else maps

    @torch.inference_mode()
    def run():
        # Global to PyTorch, and others may have run in between.
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = way.tf32
        torch.backends.cudnn.benchmark = True
        return [found.float().cpu() for found in compute(pixels.to(device))]

    for _ in range(WARM_UP):
        run()
    return run


def timed(run, seconds: float) -> list:
    """Milliseconds of runs until the time is over, at least one."""
    times, begin = [], time.perf_counter()
    while not times or len(times) < MOST_RUNS and time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def times_of(words: list) -> list:
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise PcsnetError(f"{' '.join(words)}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    return json.loads(done.stdout)["runs_ms"]
