"""The notebooks run from top to bottom in a fresh kernel."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
# In a process of its own: the client leaves sockets to the garbage collector, and warnings are errors here.
EXECUTE = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"


def small_copy(folder: Path) -> Path:
    """A copy of the project whose spec asks for less, the notebook as it is; gives the notebook's folder."""
    for name in ("experiments", "datasets"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    spec = folder / "experiments" / "quickstart.yaml"
    yaml = YAML()
    asked = yaml.load(spec)
    asked["task"]["limit"], asked["search"]["n_trials"], asked["budget"]["calls"] = 24, 3, 120
    yaml.dump(asked, spec)
    return folder / "experiments" / "notebooks"


def own_kernel(folder: Path) -> Path:
    """A Jupyter folder whose kernel `python3` is this interpreter, whatever is installed for the user."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = folder / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    return folder


def outputs(notebook: Any, kind: str) -> list[Any]:
    """What the cells showed, in order, of this MIME type."""
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output for output in shown if output.output_type == "error"] == []
    return [output.data[kind] for output in shown if kind in output.get("data", {})]


@pytest.mark.local_model
def test_quickstart_runs_from_top_to_bottom(
    desk: Any, weights: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quickstart ends with a card, a table and an exported file; run again, it ends the same."""
    folder = tmp_path_factory.mktemp("notebook")
    notebooks = small_copy(folder / "project")
    monkeypatch.setenv("HARNESS_MODELS", str(weights))
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    monkeypatch.setenv("JUPYTER_PATH", str(own_kernel(folder / "jupyter")))
    for _ in range(2):
        done = desk.program(sys.executable, "-c", EXECUTE, "--inplace", str(notebooks / "quickstart.ipynb"))
        assert done.code == 0, done.err
        notebook = nbformat.read(notebooks / "quickstart.ipynb", as_version=4)
        card, table = outputs(notebook, "text/html")[:2]
        assert "local/smollm2-135m-instruct" in card
        assert "params_temperature" in table
    exported = folder / "project" / "reports" / "quickstart-settings" / "settings.json"
    assert json.loads(exported.read_text())["model"]["provider"] == "local"
    assert not list(notebooks.glob("reports"))
