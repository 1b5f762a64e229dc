"""A PostgreSQL server that lives as long as a test: on the loopback address, from the system's own binaries.

In: nothing, or a folder with the binaries. Out: URLs of empty databases. Nothing of it stays behind, and
it does not touch a server that is installed as a service. Unsafe on purpose: it trusts everybody and never
waits for the disk.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from harness.errors import ProviderError

HOST = "127.0.0.1"
USER = "harness"
# Where distributions keep the server; its programs are rarely on the path.
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
START_TIMEOUT_S = 60.0
LOOK_S = 0.05
PORTS = 3  # tries, since another program may take a free port first
# What is committed survives the end of the server, not that of the machine.
UNSAFE = ("fsync=off", "full_page_writes=off")


def find_postgres() -> Path | None:
    """The folder with `initdb` and `postgres`, of the newest version there is; `None`: not installed."""
    found = [folder for place in PLACES for folder in Path("/").glob(place[1:]) if _complete(folder)]
    if found:
        return max(found, key=lambda folder: [int(part) for part in _numbers(folder)])
    known = shutil.which("postgres")
    folder = Path(known).resolve().parent if known else None
    return folder if folder is not None and _complete(folder) else None


class PostgresServer:
    """A server with databases of its own; use it in a `with` block.

    binaries: the folder of `find_postgres`. Raises ProviderError when there is none, or it does not start.
    Run by root, it takes another user, since PostgreSQL refuses root.
    """

    def __init__(self, binaries: Path | None = None) -> None:
        found = binaries or find_postgres()
        if found is None:
            raise ProviderError("no PostgreSQL server is installed here; install it (package postgresql)")
        self._binaries = found
        self._identity = _not_root()
        self._folder = Path(tempfile.mkdtemp(prefix="harness-postgres-"))
        self._process: subprocess.Popen[Any] | None = None
        self._port = 0
        self._databases = 0

    def __enter__(self) -> Self:
        """Make the files of the server and start it."""
        try:
            self._make()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fresh_url(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"store{self._databases}"
        self._run("createdb", "-h", HOST, "-p", str(self._port), "-U", USER, "-T", "template0", name)
        return f"postgresql://{USER}@{HOST}:{self._port}/{name}"

    def start(self) -> None:
        """Start to listen: at a free port, or at the one it had before `stop`."""
        for port in self._ports():
            if self._started(port):
                self._port = port
                return
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        raise ProviderError(f"PostgreSQL did not start: {' '.join(log.split())[-300:]}")

    def stop(self) -> None:
        """End the server at once, as a machine does that goes down; its databases stay. Harmless twice."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        """End the server and remove its files; harmless when called twice."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> None:
        if self._identity:
            os.chown(self._folder, self._identity["user"], self._identity["group"])
        options = ("--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale", "-U", USER)
        self._run("initdb", "-D", str(self._folder / "data"), *options)

    def _ports(self) -> Iterator[int]:
        if self._port:
            yield self._port
            return
        for _ in range(PORTS):
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                port: int = probe.getsockname()[1]
            yield port

    def _started(self, port: int) -> bool:
        settings = (f"listen_addresses={HOST}", "unix_socket_directories=", *UNSAFE)
        options = [word for setting in settings for word in ("-c", setting)]
        with (self._folder / "log").open("wb") as log:
            self._process = process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
                [self._binaries / "postgres", "-D", self._folder / "data", "-p", str(port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._surroundings(),
            )
        until = time.monotonic() + START_TIMEOUT_S
        while process.poll() is None and time.monotonic() < until:
            if self._is_ready(port):
                return True
            time.sleep(LOOK_S)
        self.stop()
        return False

    def _is_ready(self, port: int) -> bool:
        command = [self._binaries / "pg_isready", "-q", "-h", HOST, "-p", str(port), "-d", "postgres"]
        return (
            subprocess.run(  # noqa: S603 - PostgreSQL's own program
                command, check=False, **self._surroundings()
            ).returncode
            == 0
        )

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            [self._binaries / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            **self._surroundings(),
        )
        if done.returncode:
            said = " ".join((done.stdout + done.stderr).split())[-300:]
            raise ProviderError(f"PostgreSQL's {program} ended with {done.returncode}: {said}")

    def _surroundings(self) -> dict[str, Any]:
        path = f"{self._binaries}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        return {"cwd": self._folder, "env": {"PATH": path, "LC_ALL": "C"}, **self._identity}


def _complete(folder: Path) -> bool:
    programs = ("initdb", "postgres", "createdb", "pg_isready")
    return all(os.access(folder / program, os.X_OK) for program in programs)


def _numbers(folder: Path) -> list[str]:
    return ["".join(c for c in part if c.isdigit()) or "0" for part in folder.parts]


def _not_root() -> dict[str, Any]:
    """Arguments of `subprocess` that make a process somebody other than root; none when we are not root."""
    if os.name == "nt" or os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    raise ProviderError("PostgreSQL refuses to be run by root, and there is no user 'postgres' or 'nobody'")
