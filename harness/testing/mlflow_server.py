"""An MLflow tracking server that lives as long as a test, on the loopback address, and can be killed.

In: a folder, with a database that has MLflow's tables or without one. Out: its address. It asks nobody for a
password and counts no users.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from harness.errors import ProviderError

HOST = "127.0.0.1"
DATABASE = "mlflow.db"
START_TIMEOUT_S = 180.0  # it imports some thousand modules, on a busy machine for a minute
LOOK_S = 0.1
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # Its workers for jobs are seven further processes, for features that no run uses.
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}


class MlflowServer:
    """A server with its database and files in a folder; use it in a `with` block.

    After `kill`, `start` begins it anew at the same address. Raises ProviderError when it does not start.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            self._port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        """Start it, and wait until it answers."""
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Its address, the same after each start."""
        return f"http://{HOST}:{self._port}"

    def start(self) -> None:
        """Begin to listen, and return when it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start its process; see `wait`."""
        options = {
            "--host": HOST,
            "--port": str(self._port),
            "--backend-store-uri": f"sqlite:///{self.folder / DATABASE}",
            "--artifacts-destination": str(self.folder / "artifacts"),
            "--workers": "1",
        }
        arguments = [part for option in options.items() for part in option]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                [sys.executable, "-m", "mlflow", "server", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **SETTINGS},
                start_new_session=True,  # its workers are processes of their own, and go with it
            )

    def wait(self) -> None:
        """Return when it answers."""
        assert self._process is not None, "it was begun"
        until = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                log = (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")
                raise ProviderError(f"MLflow's server did not start: {' '.join(log.split())[-300:]}")
            time.sleep(LOOK_S)

    def kill(self) -> None:
        """End it and its workers at once by SIGKILL; harmless when it is not there."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def cpu_s(self) -> float:
        """CPU seconds of its processes so far; 0 where the system does not tell."""
        assert self._process is not None, "it was begun"
        total, ticks = 0.0, os.sysconf("SC_CLK_TCK")
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(fields[3]) == self._process.pid:  # of its session
                total += sum(map(int, fields[11:13])) / ticks
        return total

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=5)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()
