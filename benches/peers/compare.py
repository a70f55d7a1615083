"""Times PCSNet on our engine and on others, in turn on the same machine, and prints one Markdown table.

Every round runs each engine once, in a process of its own. An engine that cannot run here is named with the reason.
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import runner

HERE = Path(__file__).resolve().parent
ENGINES = {
    "pcsnet": ("run_pcsnet.py",),
    "pytorch": ("run_pytorch.py",),
    "onnxruntime-cpu": ("run_onnxruntime.py", "--device", "cpu"),
    "onnxruntime-webgpu": ("run_onnxruntime.py", "--device", "webgpu"),
    "ncnn-cpu": ("run_ncnn.py", "--device", "cpu"),
    "ncnn-vulkan": ("run_ncnn.py", "--device", "vulkan"),
}
OURS, REFERENCE = "pcsnet", "pytorch"


def main() -> None:
    options = arguments()
    prepare(options)
    reports = {engine: [] for engine in options.engine}
    for round in range(1, options.rounds + 1):
        for engine, done in reports.items():
            # An engine that was skipped, or had no time for a second run, is not started again.
            if all(report.get("runs_ms") for report in done):
                print(f"round {round}: {engine}", file=sys.stderr)
                done.append(run(engine, options))
    results = {engine: summary(done) for engine, done in reports.items()}
    (options.folder / "results.json").write_text(json.dumps(reports, indent=1))
    print(setting(options) + "\n\n" + table(results))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", required=True, help="safetensors file; repeat for one in parts")
    parser.add_argument("--folder", type=Path, required=True, help="folder for the exported network and the maps; what "
                        "it holds already is used again while newer than the model")
    parser.add_argument("--engine", action="append", metavar="NAME[@PYTHON]", help="run by another Python if "
                        f"given; repeat (default: all): {', '.join(ENGINES)}")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=3, help="runs in a round, after the first (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=60, help="seconds after which an engine begins no further "
                        "run in a round (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the engines that run on the processor "
                        "(default: %(default)s)")
    parser.add_argument("--pcsnet", default=str(HERE.parents[1] / "target/release/pcsnet"), help="our command "
                        "(default: this checkout's release build)")
    parser.add_argument("--prefix", default="", help="command to put before each engine's, such as `nice -n -10`")
    options = parser.parse_args()
    options.engine = list(dict.fromkeys(options.engine or ENGINES))
    for engine in options.engine:
        if engine.partition("@")[0] not in ENGINES:
            parser.error(f"unknown engine `{engine}`; known are {', '.join(ENGINES)}")
    return options


def prepare(options) -> None:
    """The input, and the ONNX files unless the folder holds newer ones than the model."""
    options.folder.mkdir(parents=True, exist_ok=True)
    if runner.outdated(options.folder / "shapes.json", options.model):
        subprocess.run([sys.executable, HERE / "export_onnx.py", *models(options), "--out", options.folder], check=True,
                       stdout=subprocess.DEVNULL)
    shape = json.loads((options.folder / "shapes.json").read_text())["image"]
    np.save(options.folder / "input.npy", smooth_noise(shape))


def smooth_noise(shape: list) -> np.ndarray:
    """An input of about unit scale with structure at every size, as a normalised photograph has."""
    rng = np.random.default_rng(1)
    image = np.zeros(shape, np.float32)
    for cells in (4, 16, 56, shape[3]):
        noise = rng.standard_normal((*shape[:2], cells, cells), np.float32)
        image += np.kron(noise, np.ones((shape[2] // cells, shape[3] // cells), np.float32)) / 2
    return image


def models(options) -> list:
    return [argument for file in options.model for argument in ("--model", file)]


def run(engine: str, options) -> dict:
    name, _, python = engine.partition("@")
    script, *device = ENGINES[name]
    command = [*shlex.split(options.prefix), python or sys.executable, HERE / script, *device, *models(options),
               "--folder", options.folder, "--map", options.folder / f"{engine.replace('/', '_')}.npy",
               "--runs", options.runs, "--budget", options.budget, "--threads", options.threads]
    if name == OURS:
        command += ["--pcsnet", options.pcsnet]
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"engine": name, "skipped": f"failed with exit code {done.returncode}: {last}"}
    return json.loads(done.stdout.strip().splitlines()[-1])


def summary(reports: list) -> dict:
    """All rounds of one engine as one report; `skipped` if any of them was."""
    for report in reports:
        if "skipped" in report:
            return report
    runs = [time for report in reports for time in report["runs_ms"]]
    first = statistics.median(report["first_ms"] for report in reports)
    return {**reports[0], "first_ms": first, "runs_ms": runs or [first], "only_first": not runs}


def table(results: dict) -> str:
    measured = {engine: result for engine, result in results.items() if "skipped" not in result}
    ours = next((statistics.median(r["runs_ms"]) for r in measured.values() if r["engine"] == OURS), None)
    reference = next((np.load(r["map"]) for r in measured.values() if r["engine"] == REFERENCE), None)
    lines = ["| engine | adapter | median, ms | least to most, ms | runs | ratio to ours | first run, ms | largest "
             "difference of the map |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"]
    for result in measured.values():
        times = result["runs_ms"]
        median = statistics.median(times)
        count = "1, the first" if result["only_first"] else len(times)
        ratio = f"{median / ours:.2f}" if ours else ""
        cells = [f"{result['engine']} {result['version']}", result["adapter"], f"{median:.0f}",
                 f"{min(times):.0f} to {max(times):.0f}", count, ratio, f"{result['first_ms']:.0f}",
                 difference(result, reference)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    skipped = [f"* {engine} was skipped: {result['skipped']}" for engine, result in results.items()
               if "skipped" in result]
    return "\n".join(lines + [""] * bool(skipped) + skipped)


def difference(result: dict, reference) -> str:
    """From PyTorch's map, in standard deviations of the latter."""
    if reference is None:
        return ""
    return f"{np.abs(np.load(result['map']) - reference).max() / reference.std():.1e}"


def setting(options) -> str:
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    load = f", load {os.getloadavg()[0]:.1f} at the end" if hasattr(os, "getloadavg") else ""
    return (f"{date}, {processor()}, {os.cpu_count()} logical processors{load}; {', '.join(map(str, options.model))}, "
            f"batch 1, f32, {options.threads} threads, {options.rounds} rounds of at most {options.runs} runs.")


def processor() -> str:
    if Path("/proc/cpuinfo").exists():
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
