"""`teach`, `calibrate` and `evaluate` against the command."""

import json
import shutil
import struct

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import pcsnet


def metadata_of(model):
    """The metadata of a safetensors file: JSON behind its length."""
    with open(model, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))["__metadata__"]


@pytest.fixture
def good(tmp_path):
    """Four photographs of a bright disc on noise."""
    random, folder = np.random.default_rng(1), tmp_path / "good"
    folder.mkdir()
    y, x = np.mgrid[:120, :160]
    for number in range(4):
        disc = 255 * ((y - 60) ** 2 + (x - 80 - number) ** 2 < 40 ** 2)
        noisy = np.clip(disc[..., np.newaxis] * 0.7 + random.normal(40, 10, (120, 160, 3)), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def test_taught_models_are_the_commands(good, command, tmp_path):
    told = []
    taught = pcsnet.teach(
        good, tmp_path / "ours.safetensors", small=True, poses="fixed", progress=lambda *at: told.append(at))
    command("teach", good, "--out", tmp_path / "theirs.safetensors", "--small", "--poses", "fixed")
    assert (tmp_path / "ours.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()
    another = ROOT / "samples" / "test" / "good" / "000.png"
    assert pcsnet.teach(another, tmp_path / "more.safetensors", more=tmp_path / "ours.safetensors").photographs == 5
    command("teach", "--more", another, "--model", tmp_path / "theirs.safetensors")
    assert (tmp_path / "more.safetensors").read_bytes() == (tmp_path / "theirs.safetensors").read_bytes()
    assert (taught.photographs, taught.any_pose, len(taught.held_out)) == (4, False, 4)
    assert taught.threshold == np.float32(metadata_of(tmp_path / "ours.safetensors")["pcsnet.threshold"])
    assert {"describing photographs", "choosing prototypes", "holding photographs out"} <= {step for step, *_ in told}


def test_teaching_can_be_given_up(good, tmp_path):
    def give_up(step, done, total):
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        pcsnet.teach([good], tmp_path / "part.safetensors", progress=give_up)
    assert not (tmp_path / "part.safetensors").exists()


def test_calibrations_are_the_commands(model, command, tmp_path):
    theirs = tmp_path / "theirs.safetensors"
    theirs.write_bytes((ROOT / "weights" / "default.safetensors").read_bytes())
    # Under their own names they are taken for those of the training.
    good = [shutil.copy(path, tmp_path / f"new-{path.name}") for path in (ROOT / "samples/test/good").glob("*.png")]
    before = metadata_of(model)
    dry = pcsnet.calibrate(model, good, false_alarm_rate=0.2, dry_run=True)
    assert dry.written is None and metadata_of(model) == before
    found = pcsnet.calibrate(model, good, false_alarm_rate=0.2)
    command("calibrate", "--model", theirs, "--false-alarm-rate", "0.2", *good)
    assert metadata_of(model) == metadata_of(theirs) != before
    assert found.threshold == np.float32(metadata_of(model)["pcsnet.threshold"])
    assert found.written == str(model) and found.found == json.loads(metadata_of(model)["pcsnet.calibration"])


def test_evaluations_are_the_commands(command, tmp_path):
    model = ROOT / "weights" / "default.safetensors"
    figures = pcsnet.evaluate(ROOT / "samples", model)
    command("evaluate", ROOT / "samples", "--model", model, "--out", tmp_path, "--no-report")
    assert figures == json.loads((tmp_path / "metrics.json").read_text())
    # The two good samples have lower scores than all others: samples/expected_scores.csv.
    assert figures["mean"]["image_auroc"]["mean"] == 1


@pytest.mark.parametrize("task, says", [
    (lambda good, out: pcsnet.teach(good, out, poses="sideways"), "sideways.*auto"),
    (lambda good, out: pcsnet.teach(good, out, small=True, accurate=True), "cannot be used with"),
    (lambda good, out: pcsnet.calibrate("model", good, false_alarm_rate=2), "share above 0"),
    (lambda good, out: pcsnet.calibrate("model"), "required"),
], ids=["poses", "small and accurate", "rate", "no photographs"])
def test_arguments_are_refused_in_the_commands_words(good, tmp_path, task, says):
    with pytest.raises(pcsnet.ArgumentError, match=says):
        task(good, tmp_path / "out")


def test_what_cannot_be_done_is_said(good, tmp_path):
    with pytest.raises(pcsnet.PcsnetError, match="no photographs of good parts found|cannot"):
        pcsnet.teach(tmp_path / "nowhere", tmp_path / "out")
    with pytest.raises(pcsnet.PcsnetError, match="cannot read"):
        pcsnet.calibrate(tmp_path / "nowhere.safetensors", good)
    with pytest.raises(pcsnet.PcsnetError, match="nowhere"):
        pcsnet.images(tmp_path / "nowhere")


def test_the_command_comes_along(command):
    assert command("--version").stdout == f"pcsnet {pcsnet.__version__}\n"
    assert "required" in command("detect", codes=(2,)).stderr
