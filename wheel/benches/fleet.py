"""How many photographs a second `pcsnet.ray` inspects, from one worker to several on this machine.

    cargo xtask wheel
    target/wheel/fresh/bin/python -m pip install matplotlib
    target/wheel/fresh/bin/python wheel/benches/fleet.py --out docs/fleet.png

Each worker has one processor, and on Mesa's software adapter one thread of it. Workers start, load their models and
compile their shaders before the time that counts: from the first part that is done to the last one. Numbers of workers
take turns, `--rounds` times. Prints a table and draws one plot.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import matplotlib

# As the command runs, and not with a lower priority than all else.
os.environ["RAY_worker_niceness"] = "0"
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import ray

from pcsnet import ray as fleet

ROOT = Path(__file__).parents[2]
PART = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "weights/default.safetensors"))
    parser.add_argument("--photographs", type=int, default=96)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("fleet.png"))
    options = parser.parse_args()
    # More than there are processors show what no longer helps.
    ray.init(num_cpus=max(options.workers), log_to_driver=False,
             runtime_env={"env_vars": {"LP_NUM_THREADS": "1", "PCSNET_NO_TUNING": "true"}})
    rates: dict[int, list[float]] = {workers: [] for workers in options.workers}
    with tempfile.TemporaryDirectory() as folder:
        photographs = fill(Path(folder) / "photographs", options.photographs)
        for number in range(options.rounds):
            for workers in options.workers:
                out = Path(folder) / f"{number}-{workers}"
                rates[workers].append(rate(photographs, options.model, out, workers))
                print(f"{workers} workers: {rates[workers][-1]:.2f} photographs a second", flush=True)
    print_table(rates)
    draw(rates, options.out)


def fill(folder: Path, count: int) -> Path:
    """A folder with so many copies of the samples."""
    folder.mkdir()
    samples = sorted((ROOT / "samples" / "test").glob("*/*.png"))
    for number in range(count):
        shutil.copy(samples[number % len(samples)], folder / f"{number:05}.png")
    return folder


def rate(photographs: Path, model: str, out: Path, workers: int) -> float:
    """Photographs a second."""
    told: list[tuple[float, int]] = []
    fleet.inspect(photographs, model, out, workers=workers, part=PART, jobs=1,
                  progress=lambda step, done, total: told.append((time.monotonic(), done)))
    (start, first), (end, last) = told[0], told[-1]
    return (last - first) / (end - start)


def print_table(rates: dict[int, list[float]]) -> None:
    alone = statistics.median(rates[min(rates)])
    print("| workers | photographs a second, median | least to most | times as many as one worker |")
    print("| ---: | ---: | ---: | ---: |")
    for workers, found in rates.items():
        median = statistics.median(found)
        print(f"| {workers} | {median:.2f} | {min(found):.2f} to {max(found):.2f} | {median / alone:.2f} |")


def draw(rates: dict[int, list[float]], out: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    medians = {workers: statistics.median(found) for workers, found in rates.items()}
    alone = medians[min(medians)]
    processors = os.cpu_count() or 1
    axes.plot(list(medians), [alone * min(workers, processors) for workers in medians], color="grey",
              label=f"one worker's, times the workers, to {processors} processors")
    least = [medians[workers] - min(found) for workers, found in rates.items()]
    most = [max(found) - medians[workers] for workers, found in rates.items()]
    axes.errorbar(list(medians), list(medians.values()), yerr=[least, most], fmt="o-", capsize=4,
                  label="median, least and most")
    axes.set(xlabel="workers", ylabel="photographs a second", ylim=(0, None), xticks=list(medians))
    axes.legend()
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
