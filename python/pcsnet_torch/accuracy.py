"""Accuracy over several draws of shots: trains and evaluates one run after the other, and makes tables of the runs.

Every finished run is a line of a JSON lines file; runs that are already there are not run again.
"""

import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pcsnet_torch import data
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.errors import PcsnetError
from pcsnet_torch.evaluate import METHODS, Methods, compare, features_of, stacked
from pcsnet_torch.preprocess import range_of_set
from pcsnet_torch.train import Settings, Trainer

METRICS = ("image AUROC", "pixel AUROC", "AUPRO")


def run_all(folder, config: ModelConfig, name: str, backbone: dict, shots: list, seeds: int, settings: Settings, out,
            every: int = 1) -> None:
    """Trains with each number of shots and each seed from 0 on, evaluates the last epoch, appends the result to `out`.

    `name` is the backbone's; the test images' features are computed once for all runs and kept in memory.
    """
    items, test = data.test_items(folder)[::every], None
    done = {run_key(run) for run in read_runs([out])} if Path(out).is_file() else set()
    for count in shots:
        for seed in range(seeds):
            chosen = dataclasses.replace(settings, shots=count, seed=seed)
            run = {"set": Path(folder).name, "backbone": name, "shots": count, "seed": seed,
                   "recipe": chosen.recipe, "every": every, "config": config.to_json()}
            if run_key(run) in done:
                continue
            paths = data.draw_shots(folder, count, seed)
            value_range = chosen.range or range_of_set(paths)
            images = data.read_all(paths, value_range)
            data.check_sizes(paths, images, chosen.fit)
            start = time.perf_counter()
            trainer = Trainer(config, backbone, images, chosen)
            for _ in tqdm(range(trainer.epochs), f"{name}, {count} shots, seed {seed}", unit="epoch"):
                trainer.run_epoch()
            run["training seconds"] = round(time.perf_counter() - start, 1)
            model = trainer.trained_model()
            if test is None:
                paths_of_test = tqdm([item.path for item in items], "features", unit="image")
                test = list(features_of(model, paths_of_test, chosen.fit, value_range))
            methods = Methods(model, stacked(features_of(model, paths, chosen.fit, value_range)), seed)
            run["rows"] = compare(methods, items, tqdm(test, "evaluating", unit="image"), chosen.fit)
            append(out, run)


def run_key(run: dict) -> tuple:
    return tuple(run[key] for key in ("set", "backbone", "shots", "seed", "recipe", "every", "config"))


def append(path, run: dict) -> None:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a") as file:
            file.write(json.dumps(run) + "\n")
    except OSError as error:
        raise PcsnetError(f"{path}: cannot be written: {error}") from None


def read_runs(paths) -> list:
    runs = []
    for path in paths:
        try:
            runs += [json.loads(line) for line in Path(path).read_text().splitlines()]
        except (OSError, json.JSONDecodeError) as error:
            raise PcsnetError(f"{path}: not a file of runs: {error}") from None
    return runs


def tables(runs: list) -> str:
    """Two Markdown tables, means and deviations over the seeds: every method over all defects; and defect by defect,
    the distance to mean prototypes without training against the trained network."""
    groups = {}
    for run in runs:
        groups.setdefault((run["set"], run["backbone"], run["shots"]), []).append(run)
    lines = ["| set | backbone | shots | seeds | method | " + " | ".join(METRICS) + " |", "|" + " --- |" * 8]
    for (folder, backbone, shots), group in groups.items():
        for method in METHODS:
            cells = " | ".join(spread(group, method, "all", metric) for metric in METRICS)
            lines.append(f"| {folder} | {backbone} | {shots} | {len(group)} | {method} | {cells} |")
    lines += ["", "| set | backbone | shots | defect | " + " | ".join(
        f"{metric}, untrained | trained" for metric in METRICS) + " |", "|" + " --- |" * 10]
    for (folder, backbone, shots), group in groups.items():
        for defect in [row["defect"] for row in group[0]["rows"] if row["method"] == METHODS[0]][1:]:
            cells = " | ".join(spread(group, method, defect, metric) for metric in METRICS
                               for method in ("prototypes", "network"))
            lines.append(f"| {folder} | {backbone} | {shots} | {defect} | {cells} |")
    return "\n".join(lines)


def spread(group: list, method: str, defect: str, metric: str) -> str:
    values = [row[metric] for run in group for row in run["rows"]
              if row["method"] == method and row["defect"] == defect]
    if len(values) == 1:
        return f"{values[0]:.3f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
