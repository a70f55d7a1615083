"""How the network's time grows with the batch and with the decoder's width, against how its arithmetic grows.

    python3 benches/growth.py --pcsnet target/release/pcsnet --out docs/growth.png

Runs `pcsnet bench` on several batches of one model (`--model`), and on random models whose decoder has half, one and
double the standard width (`--backbone`, made with the package in `python/`); prints a table and draws one plot. Needs
PyTorch, matplotlib and, at full size, 12 GB of memory.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "python"))
from pcsnet_torch import bundle, randomise
from pcsnet_torch.config import ModelConfig

BATCHES = (1, 2, 4, 8)
WIDTHS = (0.5, 1.0, 2.0)
# Runs of the small model, whose times scatter more.
SMALL_RUNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pcsnet", default="target/release/pcsnet")
    parser.add_argument("--model", type=Path, default=ROOT / "weights/default.safetensors")
    parser.add_argument("--backbone", default="wide_resnet50_2")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("growth.png"))
    options = parser.parse_args()
    base = ModelConfig.by_name(options.backbone, "plain")
    batches = [bench(options, options.model, batch, SMALL_RUNS) for batch in BATCHES]
    widths = []
    for scale in WIDTHS:
        with tempfile.TemporaryDirectory() as folder:
            widths.append(bench(options, write_model(base, scale, Path(folder)), 1, options.runs))
    series = {
        f"{options.model.stem}, batch": (BATCHES, batches),
        f"{options.backbone}, width": (WIDTHS, widths),
    }
    print_table(series)
    draw(series, options.out)


def write_model(base: ModelConfig, scale: float, folder: Path) -> Path:
    """A random model whose decoder is `scale` times as wide."""
    config = dataclasses.replace(base, width=int(base.width * scale))
    path = folder / f"{config.width}.safetensors"
    bundle.save(path, randomise.random_model(config, 1), {})
    return path


def bench(options, model: Path, batch: int, runs: int) -> dict:
    command = [options.pcsnet, "bench", "--model", model, "--batch", batch, "--runs", runs, "--warm-up", 0]
    command += ["--no-tuning", "--json"]
    return json.loads(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def growth(reports: list, unit: dict) -> list:
    """Time and multiply-adds of each report, over those of the unit."""
    return [(report["median_ms"] / unit["median_ms"], report["gmacs"] / unit["gmacs"]) for report in reports]


def print_table(series: dict) -> None:
    columns = ["", "G multiply-adds", "median, ms", "least to most, ms", "images a second"]
    print(f"| {' | '.join(columns)} | time over arithmetic, relative to 1 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (steps, reports) in series.items():
        unit = reports[steps.index(1)]
        for step, report, (time, work) in zip(steps, reports, growth(reports, unit)):
            runs = report["runs_ms"]
            print(f"| {name} {step:g} | {report['gmacs']:.1f} | {report['median_ms']:.0f} | {min(runs):.0f} to "
                  f"{max(runs):.0f} | {report['images_per_second']:.2f} | {time / work:.2f} |")


def draw(series: dict, out: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4.5), layout="constrained")
    points = [point for steps, reports in series.values() for point in growth(reports, reports[steps.index(1)])]
    line = [min(work for _, work in points), max(work for _, work in points)]
    axes.plot(line, line, color="grey", linewidth=1, label="as the arithmetic")
    axes.fill_between(line, [0.8 * x for x in line], [1.2 * x for x in line], color="grey", alpha=0.2, label="± 20 %")
    for marker, (name, (steps, reports)) in zip("os", series.items()):
        time, work = zip(*growth(reports, reports[steps.index(1)]))
        axes.plot(work, time, marker, label=f"{name} " + ", ".join(f"{step:g}" for step in steps))
    axes.set(xscale="log", yscale="log", xlabel="multiply-adds, relative", ylabel="time, relative")
    ticks = (0.5, *BATCHES)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.legend()
    adapters = {report["adapter"] for _, reports in series.values() for report in reports}
    axes.set_title(", ".join(sorted(adapters)), fontsize=9)
    figure.savefig(out, dpi=100)


if __name__ == "__main__":
    main()
