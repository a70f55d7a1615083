"""What the tests share: the default model, the sample photographs, and the command."""

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


@pytest.fixture
def command():
    """Runs the command that the package brings along."""
    def run(*arguments, codes=(0,)):
        done = subprocess.run([sys.executable, "-m", "pcsnet", *map(str, arguments)], capture_output=True, text=True)
        assert done.returncode in codes, done.stderr
        return done
    return run
