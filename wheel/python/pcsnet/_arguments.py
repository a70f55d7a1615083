"""Keyword arguments to those of the command."""

import os
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

Path: TypeAlias = str | os.PathLike[str]
#: Told `(step, done, total)`; an exception that it raises ends the work.
Progress: TypeAlias = Callable[[str, int, int], object]


def command_line(*positional: Path, **options: Any) -> list[str]:
    """The command's arguments: `None` and `False` are left out, a list is an option given several times, a tuple its
    values with commas between."""
    line = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            line.append(option)
        elif value is not None and value is not False:
            values = value if isinstance(value, list) else [value]
            line += [f"{option}={_text(value)}" for value in values]
    return [*line, "--", *(os.fspath(path) for path in positional)]


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def paths(given: Path | Iterable[Path]) -> list[Path]:
    """One path or several, as several."""
    return [given] if isinstance(given, (str, os.PathLike)) else list(given)


class ProgressBar:
    """Shows progress as a bar, in a terminal or a notebook, where tqdm is installed."""

    def __init__(self) -> None:
        try:
            from tqdm.auto import tqdm  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise ImportError("progress=True shows a bar of tqdm, which is not installed: pip install tqdm, or give a "
                              "function of (step, done, total)") from None
        self._bar = tqdm()

    def __call__(self, step: str, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.set_description(step, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def progress_of(progress: Progress | bool | None) -> Progress | None:
    """What is told of progress; `True` stands for a bar."""
    if progress is True:
        return ProgressBar()
    return progress or None
