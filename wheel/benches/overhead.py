"""How much longer a photograph takes in Python than in the command, one at a time, measured in turn.

    cargo xtask wheel
    target/wheel/fresh/bin/python wheel/benches/overhead.py --pcsnet target/release/pcsnet

Both inspect the same file: the command as `pcsnet detect --stdin paths --no-pictures`, which answers with a line of
JSON, and `Detector.detect(path).to_dict()`, which says the same. Prints the times of a photograph, on the clock and of
all processors, and ends with code 1 where Python's median on the clock is more than 3 % above the command's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pcsnet

ROOT = Path(__file__).parents[2]
ALLOWED = 1.03


class Command:
    """The command, waiting for paths."""

    def __init__(self, program: str, model: str, folder: str) -> None:
        arguments = ["detect", "--model", model, "--stdin", "paths", "--no-pictures", "--no-tuning", "--out", folder]
        self._process = subprocess.Popen(
            [program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def inspect(self, path: str) -> float:
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())["score"]

    def processor_time(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


class Python:
    """The package, in this process."""

    def __init__(self, model: str) -> None:
        self._detector = pcsnet.Detector(model, tuning=False)

    def inspect(self, path: str) -> float:
        return json.loads(json.dumps(self._detector.detect(path).to_dict()))["score"]

    def processor_time(self) -> float:
        return time.process_time()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pcsnet", default="target/release/pcsnet")
    parser.add_argument("--model", default=str(ROOT / "weights/default.safetensors"))
    parser.add_argument("--photograph", default=str(ROOT / "samples/test/scratch/000.png"))
    parser.add_argument("--rounds", type=int, default=100)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = Command(options.pcsnet, options.model, folder)
        clock, processors = measure([command, Python(options.model)], options.photograph, options.rounds)
        command.close()
    for name, (theirs, ours) in {"clock, median": clock, "processors, mean": processors}.items():
        more = 100 * ours / theirs - 100
        print(f"{name}: the command {1000 * theirs:.1f} ms, Python {1000 * ours:.1f} ms, {more:+.2f} %")
    theirs, ours = clock
    return int(ours > ALLOWED * theirs)


def measure(sides: list, photograph: str, rounds: int) -> tuple[list[float], list[float]]:
    """Each side's median seconds of a photograph, and its mean seconds of processors."""
    for side in sides:
        side.inspect(photograph)
    before = [side.processor_time() for side in sides]
    times: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        # Neither always goes first.
        for at in (0, 1) if number % 2 else (1, 0):
            start = time.perf_counter()
            sides[at].inspect(photograph)
            times[at].append(time.perf_counter() - start)
    spent = [(side.processor_time() - earlier) / rounds for side, earlier in zip(sides, before)]
    return [statistics.median(side) for side in times], spent


if __name__ == "__main__":
    sys.exit(main())
