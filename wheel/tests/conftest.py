"""What the tests share: the default model, the sample photographs, and the command."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pcsnet

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "test"


@pytest.fixture(scope="session")
def photographs():
    return sorted(SAMPLES.glob("*/*.png"))


@pytest.fixture
def model(tmp_path):
    """The default model, for one test to change."""
    return shutil.copy(ROOT / "weights" / "default.safetensors", tmp_path / "model.safetensors")


@pytest.fixture(scope="session")
def detector():
    return pcsnet.Detector(ROOT / "weights" / "default.safetensors", tuning=False)


@pytest.fixture(scope="session")
def small_model():
    """A model of random weights that inspects a photograph in milliseconds: `wheel/tests/python.rs` writes it."""
    if "PCSNET_TEST_SMALL_MODEL" not in os.environ:
        pytest.skip("PCSNET_TEST_SMALL_MODEL names no model; `cargo test --test python` makes one")
    return os.environ["PCSNET_TEST_SMALL_MODEL"]


@pytest.fixture
def command():
    """Runs the command: `PCSNET_TEST_COMMAND`, or else that which the package brings along."""
    named = os.environ.get("PCSNET_TEST_COMMAND")
    program = [named] if named else [sys.executable, "-m", "pcsnet"]

    def run(*arguments, codes=(0,)):
        done = subprocess.run([*program, *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode in codes, done.stderr
        return done
    return run
