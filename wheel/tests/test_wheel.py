"""What `pip install` leaves: `cargo xtask wheel` builds the wheel, installs it and runs this."""

import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path

import pytest

import pcsnet

try:
    INSTALLED = metadata.distribution("pcsnet")
except metadata.PackageNotFoundError:
    pytest.skip("the package is not installed as a wheel: cargo xtask wheel", allow_module_level=True)


def text_of(name):
    """The text of the one installed file whose path ends so."""
    (file,) = (file for file in INSTALLED.files if str(file).endswith(name))
    return file.read_text()


def test_one_wheel_serves_all_pythons():
    assert "Tag: cp311-abi3-" in text_of("dist-info/WHEEL")
    assert INSTALLED.version == pcsnet.__version__
    assert INSTALLED.metadata["Requires-Python"] == ">=3.11"


def test_it_is_typed():
    assert text_of("pcsnet/py.typed") == ""
    assert "class Found" in text_of("pcsnet/_native.pyi")


def test_licences_and_notices_come_along():
    assert "Permission is hereby granted" in text_of("LICENSE-MIT")
    assert "Apache License" in text_of("LICENSE-APACHE")
    assert "EfficientNet-Lite0" in text_of("DEFAULT-MODEL.md")
    notices = text_of("THIRD-PARTY-NOTICES.md")
    # Some that are linked, from the graphics to the C code of the JPEG decoder, and one that only compiles.
    for linked in ("wgpu 3", "naga 3", "mozjpeg-sys 2", "pyo3 0", "clap 4", "zstd-sys 2"):
        assert f"| {linked}" in notices
    assert "| proc-macro2 " not in notices
    assert '"bomFormat": "CycloneDX"' in text_of(".cyclonedx.json")


def test_the_command_is_installed():
    command = Path(sysconfig.get_path("scripts")) / "pcsnet"
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == f"pcsnet {INSTALLED.version}\n"
