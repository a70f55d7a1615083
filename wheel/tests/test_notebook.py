"""The example notebook, executed by Jupyter."""

import base64
import io

import pytest
from conftest import ROOT
from PIL import Image

nbformat = pytest.importorskip("nbformat", reason="Jupyter is not installed: pip install nbclient ipykernel")
nbclient = pytest.importorskip("nbclient", reason="Jupyter is not installed: pip install nbclient ipykernel")
pytest.importorskip("ipykernel", reason="Jupyter has no Python to run: pip install ipykernel")

NOTEBOOK = ROOT / "wheel" / "examples" / "inspect.ipynb"


def test_the_notebook_runs_and_shows_what_it_found(detector, photographs):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells), "it is kept without outputs"
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}})
    client.execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in shown if output.output_type == "error"]

    (html,) = (output.data["text/html"] for output in shown if "text/html" in output.get("data", {}))
    picture = Image.open(io.BytesIO(base64.b64decode(html.split("base64,")[1].split('"')[0])))
    assert picture.convert("RGB").tobytes() == detector.detect(photographs[0]).overlay().tobytes()

    told = "".join(output.text for output in shown if output.output_type == "stream")
    for path in photographs:
        verdict = "pass" if path.parent.name == "good" else "fail"
        assert f"{path.parent.name}/{path.name}: {verdict}" in told
