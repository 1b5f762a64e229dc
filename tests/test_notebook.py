"""Notebooks: the shipped ones run from top to bottom, and the interrupt button keeps everything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[1]
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
def kernel(desk: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    """A kernel that has loaded the package."""
    monkeypatch.setenv("IPYTHONDIR", str(desk.folder / "ipython"))
    monkeypatch.setenv("JUPYTER_PATH", str(own_kernel(desk.folder / "jupyter")))
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
