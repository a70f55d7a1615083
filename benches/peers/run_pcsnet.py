"""PCSNet on our own engine: `pcsnet bench` for the times, `pcsnet trace` for the map."""

import json
import subprocess

import numpy as np
import runner

ENGINE = "pcsnet"


def main() -> None:
    options = runner.options(__doc__, lambda parser: parser.add_argument("--pcsnet", default="pcsnet",
                                                                        help="the command (default: %(default)s)"))
    try:
        version = call(options, "--version").split()[-1]
    except OSError as error:
        runner.skip(ENGINE, f"{options.pcsnet}: {error.strerror}")
    arguments = ["--json", "--warm-up", "0", "--runs", str(options.runs + 1)]
    report = json.loads(call(options, "bench", *model_of(options), *arguments))
    write_map(options)
    second, *runs = report["runs_ms"]
    # Where the report has no first run of its own, its runs begin with it: nothing came before.
    measured = {"first_ms": report.get("first_ms", second), "runs_ms": runs, "map": str(options.map)}
    runner.report(ENGINE, version, f"{report['adapter']}, {report['driver']}", measured)


def model_of(options) -> list:
    return [argument for file in options.model for argument in ("--model", file)]


def write_map(options) -> None:
    from safetensors.numpy import load_file, save_file

    files = {name: str(options.folder / f"{name}.safetensors") for name in ("input", "stages")}
    save_file({"input": np.load(options.folder / "input.npy")}, files["input"])
    call(options, "trace", *model_of(options), "--input", files["input"], "--out", files["stages"])
    runner.save_map(options, load_file(files["stages"])["map"])


def call(options, *arguments) -> str:
    return subprocess.run([options.pcsnet, *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
