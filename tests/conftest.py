"""A desk to work at: a folder with a small experiment, the command line, and a server that answers it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.calls.weights import pull
from harness.catalogue.weights import models_folder
from harness.cli import main
from harness.outputs.mlflow_store import ENVIRONMENT
from harness.run import tune
from harness.store.store import open_store
from harness.testing.postgres_server import PostgresServer, find_postgres

ROOT = Path(__file__).resolve().parents[1]
LOCAL_MODEL = "smollm2-135m-instruct"
WAIT_S = 120.0
SPEC = """\
experiment: words
task:
  dataset: words.jsonl
  prompt: {plain: prompts/plain.jinja, careful: prompts/careful.jinja}
  scorers: [choice: {labels: [positive, negative]}]
  metric: accuracy
search:
  models: [mine/tiny]
  temperature: {low: 0.0, high: 1.0}
  max_output_tokens: 8
  n_trials: 8
providers:
  mine:
    api_base: API_BASE
    concurrency: 4
    models:
      tiny:
        class: SMALL
        prices: {input: 1.0, output: 4.0}
aim: {policy: {cheapest_within: 0.01}}
budget: {calls: 400, usd: 1.0}
failures: count_as_wrong
seed: 3
"""


def pytest_configure() -> None:
    """Take Ctrl-C as on a terminal: started in the background of a script, it is ignored, by children too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


class AnswerServer:
    """An OpenAI-compatible server on 127.0.0.1 that answers by a hash of the request, and counts requests.

    A careful prompt is wrong less often than a plain one. Once `hold_after(n)` was called, requests after
    the n-th wait until `release()`. on_first: called at the first request. status: of every answer.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.status = 200
        self.on_first: Callable[[], object] = lambda: None
        self._allowed: int | None = None
        self._held = 0
        self._changed = threading.Condition()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_port}/v1"

    def close(self) -> None:
        self.release()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def hold_after(self, requests: int) -> None:
        """Let this many requests pass, counted from the server's start."""
        with self._changed:
            self._allowed = requests

    def await_held(self, count: int) -> None:
        """Return when this many requests are held at the same time."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._held >= count, WAIT_S), f"{self._held} held"

    def release(self) -> None:
        """Answer what is held, and hold nothing more."""
        with self._changed:
            self._allowed = None
            self._changed.notify_all()

    def _pass(self) -> None:
        with self._changed:
            self.requests += 1
            number = self.requests
            if number == 1:
                self.on_first()
            self._held += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._allowed is None or number <= self._allowed)
            self._held -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server._pass()
                answer = json.dumps(_completion(body)).encode()
                try:
                    self.send_response(server.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)
                except OSError:  # whoever asked was killed meanwhile
                    self.close_connection = True

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    prompt = body["messages"][-1]["content"]
    draw = hashlib.sha256(json.dumps([prompt, body.get("temperature")]).encode()).digest()[0] / 256
    wrong = draw < (0.1 if "Think" in prompt else 0.35)
    text = "positive" if ("fine" in prompt) is not wrong else "negative"
    message = {"role": "assistant", "content": text}
    return {
        "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": len(prompt), "completion_tokens": 1},
    }


@pytest.fixture
def answers() -> Iterator[AnswerServer]:
    """A server that answers the experiment of the desk."""
    server = AnswerServer()
    yield server
    server.close()


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with `words.yaml`, and the command line in it."""

    folder: Path
    capture: Callable[[], tuple[str, str]]

    def spec(self, *changes: tuple[str, str], api_base: str = "http://127.0.0.1:9/v1") -> Path:
        """Write words.yaml after these replacements; a text that is not there is a mistake of the test."""
        text = SPEC.replace("API_BASE", api_base)
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        return self.write("words.yaml", text)

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def cli(self, *arguments: str) -> Outcome:
        """Run a command in this process."""
        self.capture()
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return Outcome(int(ended.value.code or 0), *self.capture())

    def harness(self, *arguments: str) -> Outcome:
        """Run a command as a process of its own."""
        return self.program(sys.executable, "-m", "harness", *arguments)

    def program(self, *command: str | Path) -> Outcome:
        """Run any program in the folder."""
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, timeout=WAIT_S, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    def runs(self) -> list[str]:
        """Names of the runs in the store, newest first."""
        store = open_store(f"sqlite:///{self.folder}/.harness/harness.db")
        try:
            return [row.run for row in store.runs()]
        finally:
            store.close()

    def answered(self) -> int:
        """How many answers the store holds. Raises when the database is damaged."""
        with closing(sqlite3.connect(self.folder / ".harness" / "harness.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return database.execute("SELECT count(*) FROM answers").fetchone()[0]

    def interrupted(self, server: AnswerServer, sign: signal.Signals, *arguments: str) -> Outcome:
        """Run a command, send it this signal when four of its calls are held, then let them go on."""
        with subprocess.Popen(
            [sys.executable, "-m", "harness", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
        ) as child:
            try:
                server.await_held(4)
                child.send_signal(sign)
                if sign == signal.SIGKILL:
                    child.wait(WAIT_S)
                server.release()
                out, err = child.communicate(timeout=WAIT_S)
            finally:
                child.kill()
        return Outcome(child.returncode, out, err)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    """A desk with 60 rows, two prompts, an empty store, and none of the user's own settings."""
    _own_settings_only(monkeypatch, tmp_path)
    return _furnished(Desk(tmp_path, capfd.readouterr))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A desk at which one run was finished; look, but do not touch."""
    desk = _furnished(Desk(tmp_path_factory.mktemp("archive"), lambda: ("", "")))
    server = AnswerServer()
    with pytest.MonkeyPatch.context() as patch:
        _own_settings_only(patch, desk.folder)
        spec = desk.spec(api_base=server.url)
        tune(spec, mlflow=False)
    server.close()
    return desk.folder


@pytest.fixture
def finished(archive: Path, desk: Desk) -> str:
    """The name of a finished run in the store of the desk."""
    for name in (".harness", "reports"):
        shutil.copytree(archive / name, desk.folder / name)
    return desk.runs()[0]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, for all tests that need one."""
    if find_postgres() is None:
        pytest.skip("no PostgreSQL server is installed here (package postgresql)")
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def each_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that does not exist yet, once for each database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/harness.db"
    return request.getfixturevalue("postgres").fresh_url()


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them: making it takes seconds, copying it none."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the default weights, fetched when they are not there; kept between runs."""
    folder = models_folder({"HARNESS_MODELS": str(ROOT / ".harness" / "models"), **os.environ})
    pull(LOCAL_MODEL, folder=folder, progress=lambda _done, _total: None)
    return folder.resolve()


@pytest.fixture
def unfinished(desk: Desk) -> str:
    """The name of a run for which the budget was too small."""
    desk.spec(("calls: 400", "calls: 5"))
    assert desk.cli("tune", "words.yaml", "-q").code == 4
    return desk.runs()[0]


def _own_settings_only(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("HARNESS_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HARNESS_NO_MLFLOW", "1")
    monkeypatch.chdir(folder)


def _furnished(made: Desk) -> Desk:
    made.spec()
    made.write("prompts/plain.jinja", "Fine or not?\n{{ text }}\n")
    made.write("prompts/careful.jinja", "Think. Fine or not?\n{{ text }}\n")
    targets = ("positive", "negative")
    rows = [
        {"id": f"w{n}", "text": f"day {n} was {('fine', 'awful')[n % 2]}", "target": targets[n % 2]}
        for n in range(60)
    ]
    made.write("words.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    return made
