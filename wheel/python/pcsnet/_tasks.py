"""Making, calibrating and measuring models, as the command does."""

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pcsnet import _native
from pcsnet._arguments import Path, Progress, command_line, paths, progress_of


@dataclass(frozen=True)
class Taught:
    """What was decided in teaching."""

    photographs: int
    """Different photographs that the model was made of."""
    copies: list[str]
    """Photographs that were copies of others."""
    any_pose: bool
    """Whether parts lie at any angle."""
    flips: bool
    """Whether parts may be mirrored, upside down or both."""
    prototypes: list[int]
    """How many prototypes each level of the backbone has."""
    threshold: float | None
    """The largest score that passes."""
    scale: tuple[float, float] | None
    """The values that get the first and the last colour."""
    pseudo_defects: dict[str, int]
    """How many made-up defects on photographs held out were `tried`, and how many the threshold `found`."""
    held_out: list[dict[str, Any]]
    """Each photograph's name, and its score against the others alone."""
    warnings: list[str]
    """What to know before relying on the model, in sentences."""


@dataclass(frozen=True)
class Calibrated:
    """A threshold, and how it was found."""

    threshold: float
    """The largest score that passes."""
    scale: tuple[float, float] | None
    """The values that get the first and the last colour."""
    tiles: int | None
    """The side of the tiles for which the threshold holds."""
    found: dict[str, Any]
    """What the model file keeps: the rate of false alarms with its interval and method, or the best F1."""
    outliers: list[str]
    """Photographs whose scores are far above all others: perhaps no good parts."""
    repeated: list[tuple[str, str]]
    """Copies that were not counted, each with its original."""
    written: str | None
    """The model file that was changed; `None` for a dry run."""


def images(*folders: Path) -> list[str]:
    """The photographs among files and in folders, each once, sorted, as `pcsnet detect` finds them."""
    return _native.images(list(map(str, folders)))


def teach(
    good: Path | Iterable[Path],
    out: Path | None = None,
    *,
    more: Path | None = None,
    shots: int | None = None,
    seed: int = 0,
    backbone: Path | None = None,
    poses: str | None = None,
    range: tuple[float, float] | None = None,
    small: bool = False,
    accurate: bool = False,
    false_alarm_rate: float | None = None,
    adapter: str | None = None,
    backend: str | None = None,
    tuning: bool = True,
    progress: Progress | bool | None = None,
) -> Taught:
    """Makes a model from photographs of good parts (files, folders, or a test set) and writes it into `out`.

    `more` is a model that is taught these photographs besides those it was made of; it is replaced where `out` is not
    given. The other arguments are those of `pcsnet teach`, see `pcsnet teach --help`. `progress` is told
    `(step, done, total)`; `True` shows a bar (tqdm). Ctrl-C ends it, and nothing is written then.

    Raises `PcsnetError` for photographs or a backbone that cannot be used, `ArgumentError`, and `DeviceError`.
    """
    arguments = command_line(
        *paths(good), out=out, more=more is not None, model=more, shots=shots, seed=seed, backbone=backbone,
        poses=poses, range=range, small=small, accurate=accurate, false_alarm_rate=false_alarm_rate, adapter=adapter,
        backend=backend, no_tuning=not tuning)
    return Taught(**_fields(json.loads(_native.teach(arguments, progress_of(progress)))))


def calibrate(
    model: Path | Iterable[Path],
    good: Path | Iterable[Path] = (),
    *,
    labelled: Path | None = None,
    false_alarm_rate: float | None = None,
    flips: bool = False,
    dry_run: bool = False,
    batch: int = 1,
    precision: str = "f32",
    tiles: int | None = None,
    fit: str | None = None,
    range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    jobs: int | None = None,
    adapter: str | None = None,
    backend: str | None = None,
    tuning: bool = True,
    progress: Progress | bool | None = None,
) -> Calibrated:
    """Gives a model a threshold and writes it into the model's file.

    From photographs of `good` parts it is the one that `false_alarm_rate` (0.01) of good parts exceed; from a
    `labelled` test set the one with the best F1. The other arguments are those of `pcsnet calibrate`, see
    `pcsnet calibrate --help`.

    Raises `PcsnetError` where no threshold can be found, `ArgumentError`, and `DeviceError`.
    """
    arguments = command_line(
        *paths(good), model=paths(model), labelled=labelled, false_alarm_rate=false_alarm_rate, flips=flips,
        dry_run=dry_run, batch=batch, precision=precision, tiles=tiles, fit=fit, range=range, max_pixels=max_pixels,
        jobs=jobs, adapter=adapter, backend=backend, no_tuning=not tuning)
    return Calibrated(**_fields(json.loads(_native.calibrate(arguments, progress_of(progress)))))


def evaluate(
    folder: Path,
    model: Path | Iterable[Path],
    *,
    category: str | None = None,
    backbone: Path | None = None,
    out: Path | None = None,
    batch: int = 1,
    precision: str = "f32",
    tiles: int | None = None,
    fit: str | None = None,
    range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    jobs: int | None = None,
    adapter: str | None = None,
    backend: str | None = None,
    tuning: bool = True,
    progress: Progress | bool | None = None,
) -> dict[str, Any]:
    """Measures how well models find the defects of a test set; gives what `metrics.json` of `pcsnet evaluate` holds.

    With `out`, the command's tables and HTML reports are written there, too. The other arguments are those of
    `pcsnet evaluate`, see `pcsnet evaluate --help`.

    Raises `PcsnetError` for a folder that is no test set, `ArgumentError`, and `DeviceError`.
    """
    with tempfile.TemporaryDirectory() as nowhere:
        arguments = command_line(
            folder, model=paths(model), category=category, backbone=backbone, out=nowhere if out is None else out,
            no_report=out is None, batch=batch, precision=precision, tiles=tiles, fit=fit, range=range,
            max_pixels=max_pixels, jobs=jobs, adapter=adapter, backend=backend, no_tuning=not tuning)
        figures: dict[str, Any] = json.loads(_native.evaluate(arguments, progress_of(progress)))
    return figures


def _fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The native part's JSON with Python's own types."""
    if fields["scale"] is not None:
        fields["scale"] = tuple(fields["scale"])
    if "found" in fields:
        fields["found"] = json.loads(fields["found"])
        fields["repeated"] = [tuple(pair) for pair in fields["repeated"]]
    return fields
