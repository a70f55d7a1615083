"""The network timed in PyTorch and beside a command."""

import json
import sys

import pytest

from pcsnet_torch import bundle, cli
from pcsnet_torch.config import ModelConfig
from pcsnet_torch.randomise import random_model


@pytest.fixture
def model(tmp_path, small_json):
    path = tmp_path / "model.safetensors"
    bundle.save(path, random_model(ModelConfig.from_json(small_json), 1))
    return path


def command(folder, text: str):
    """A program that stands for the engine's command."""
    path = folder / "pcsnet"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return path


def test_ways_and_a_command_in_turn(model, tmp_path, capsys):
    beside = command(tmp_path, "import json, sys; print(json.dumps({'runs_ms': [len(sys.argv), 4.0]}))")
    options = ["--batch", "2", "--way", "eager", "channels last", "--rounds", "2", "--seconds", "0.01"]
    cli.main(["time", "--model", str(model), *options, "--pcsnet", str(beside), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["batch"] for row in rows] == [2, 2, 2]
    assert [row["engine"].rsplit(", ", 1)[-1] for row in rows] == ["eager", "channels last", "f32"]
    assert all(time > 0 for row in rows for time in row["runs_ms"])
    # Twice two runs: `bench`, the model, precision, batch, protocol.
    assert rows[2]["runs_ms"] == [15, 4.0, 15, 4.0] and rows[2]["median_ms"] == 9.5


def test_a_command_that_fails_is_named(model, tmp_path):
    beside = command(tmp_path, "import sys; sys.exit('no adapter')")
    with pytest.raises(SystemExit, match="no adapter"):
        cli.main(["time", "--model", str(model), "--way", "eager", "--seconds", "0.01", "--pcsnet", str(beside)])
