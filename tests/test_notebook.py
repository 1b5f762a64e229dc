"""Notebooks: the shipped ones run from top to bottom, and the interrupt button keeps everything."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from harness.calls.weights import pull

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "experiments" / "notebooks"
MOST_BYTES = 300_000  # of a notebook with its outputs
# In a process of its own: the client leaves sockets to the garbage collector, and warnings are errors here.
EXECUTE = "from nbclient.cli import NbClientApp; NbClientApp.launch_instance()"
IN_FLIGHT = 4  # the concurrency of the desk's endpoint
FREE = 20  # requests that pass: in the middle of a block of calls, so that more are to come
PATIENCE_S = 120.0


def own_kernel(folder: Path) -> Path:
    """A Jupyter folder whose kernel `python3` is this interpreter, whatever is installed for the user."""
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = folder / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))
    return folder


class Kernel:
    """A kernel in the folder of the desk. outputs: of the cell that ran last, as messages."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self._client = client
        self.outputs: list[dict[str, Any]] = []

    def begin(self, source: str) -> str:
        """Run a cell; gives its name, without waiting for it."""
        return self._client.execute(source)

    def end(self, cell: str) -> str:
        """How the cell ended, "ok" or "error", when it did."""
        self.outputs.clear()
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != cell:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            self.outputs.append(message)
        return self._client.get_shell_msg(timeout=PATIENCE_S)["content"]["status"]

    def run(self, source: str) -> str:
        """Run a cell to its end; gives what it showed as plain text."""
        assert self.end(self.begin(source)) == "ok", self.outputs
        return self.told()

    def told(self) -> str:
        """The plain text of all that the cell shows in the end: what was replaced is gone."""
        shown: dict[str, str] = {}
        for place, message in enumerate(self.outputs):
            content, kind = message["content"], message["msg_type"]
            name = content.get("transient", {}).get("display_id", str(place))
            if kind == "stream":
                shown[name] = content["text"]
            elif "text/plain" in content.get("data", {}):
                shown[name] = content["data"]["text/plain"]
        return "\n".join(shown.values())


@pytest.fixture
def kernel(desk: Any, jupyter: None) -> Iterator[Kernel]:
    """A kernel that has loaded the package."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(desk.folder))
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=PATIENCE_S)
    made = Kernel(manager, client)
    made.run("import harness")
    yield made
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()
    manager.context.destroy(linger=0)


def test_the_interrupt_button_keeps_everything(kernel: Kernel, desk: Any, answers: Any) -> None:
    """The cell ends well with what there is; the next one goes on, and no answer is asked for twice."""
    desk.spec(api_base=answers.url)
    answers.hold_after(FREE)
    cell = kernel.begin("result = harness.tune('words.yaml', mlflow=False); result")
    answers.await_held(IN_FLIGHT)
    kernel.manager.interrupt_kernel()
    answers.release()
    assert kernel.end(cell) == "ok"
    told = kernel.told()
    assert "No recommendation: the run was stopped" in told
    assert f"harness.tune(resume='{desk.runs()[0]}')" in told
    asked = answers.requests
    assert FREE + IN_FLIGHT <= asked == desk.answered()
    told = kernel.run("result = harness.tune(resume=result.run_id, mlflow=False); result")
    assert "Ship mine/tiny" in told or "Keep the untuned default" in told
    assert answers.requests == desk.answered() > asked
    assert len(desk.runs()) == 1


def test_stored_outputs_are_small_and_name_no_machine() -> None:
    """Whoever opens one sees what it shows, and nothing of where it ran; no cell failed or wrote noise."""
    for path in NOTEBOOKS.glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert len(text.encode()) < MOST_BYTES, path.name
        assert not [part for part in ("/tmp/", "/root", "/home/", "/Users/", "C:\\\\") if part in text], (
            path.name
        )
        cells = [cell for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
        assert any(cell.outputs for cell in cells), path.name
        kinds = {(output.output_type, output.get("name")) for cell in cells for output in cell.outputs}
        assert not {kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"}, path.name


def executed(desk: Any, name: str, *changes: tuple[str, str]) -> list[str]:
    """What the cells of a notebook show as HTML, run in a copy of the project with less to ask."""
    project = desk.folder / "project"
    for folder in ("experiments", "datasets"):
        shutil.copytree(ROOT / folder, project / folder, ignore=shutil.ignore_patterns(".*", "*.ipynb"))
    shutil.copy(ROOT / "pyproject.toml", project)
    text = (NOTEBOOKS / name).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = project / "experiments" / "notebooks" / name
    path.write_text(text, encoding="utf-8")
    done = desk.program(sys.executable, "-c", EXECUTE, "--inplace", str(path))
    assert done.code == 0, done.err
    assert not list(path.parent.glob("reports"))
    cells = nbformat.read(path, as_version=4).cells
    shown = [output for cell in cells for output in cell.get("outputs", ())]
    return [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]


@pytest.fixture
def jupyter(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels of this interpreter, and none of the user's own settings."""
    monkeypatch.setenv("IPYTHONDIR", str(desk.folder / "ipython"))
    monkeypatch.setenv("JUPYTER_PATH", str(own_kernel(desk.folder / "jupyter")))


@pytest.mark.local_model
def test_the_quickstart_runs(
    desk: Any, jupyter: None, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with a card, and an exported file of settings."""
    monkeypatch.setenv("HARNESS_MODELS", str(weights))
    shown = executed(desk, "quickstart.ipynb", ("limit=40, n_trials=4", "limit=12, n_trials=2"))
    assert any("local/smollm2-135m-instruct" in html and "Rule applied" in html for html in shown)
    exported = desk.folder / "project" / "reports" / "quickstart-settings" / "settings.json"
    assert json.loads(exported.read_text())["model"]["provider"] == "local"


def test_the_notebook_on_model_classes_runs(desk: Any, jupyter: None) -> None:
    """The medium model is enough, and class by class the large one is never asked."""
    shown = executed(desk, "model-class.ipynb")
    assert any("MEDIUM is sure to reach 0.7: LARGE was never asked" in html for html in shown)


@pytest.mark.local_model
def test_the_notebook_on_embeddings_runs(
    desk: Any, jupyter: None, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its threshold is confirmed, and drawn."""
    pull("minilm", folder=weights, progress=lambda _done, _total: None)
    monkeypatch.setenv("HARNESS_MODELS", str(weights))
    shown = executed(desk, "embeddings.ipynb")
    assert any("limit 2%: kept" in html for html in shown)
    assert any("A cache of near matches at every threshold" in html for html in shown)
