"""Fixtures; one thread, so that tests do not fight over the processor."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

ROOT = Path(os.environ.get("PCSNET_SHARED", Path(__file__).parents[3] / "shared"))

SMALL = ('{"backbone":{"block":"basic","stem":8,"layers":[{"blocks":1,"width":8,"channels":8},'
         '{"blocks":2,"width":16,"channels":16},{"blocks":1,"width":24,"channels":24}]},"descriptor":"plain",'
         '"input":64,"grid":16,"prototypes":256,"nearest":12,"guide":24,"width":16,"bins":[15,7,4]}')


@pytest.fixture
def small_json():
    return SMALL


@pytest.fixture(scope="session")
def golden():
    """The folder of the authors' outputs and its module of matching weights."""
    folder = ROOT / "golden"
    if not folder.is_dir():
        pytest.skip(f"the authors' outputs are not there: {folder}")
    spec = importlib.util.spec_from_file_location("golden_weights", folder / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return folder, module
