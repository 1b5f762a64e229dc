"""The process that holds an embedded model: `python -m harness.calls.local_process`.

In: one JSON line on standard input (see `Parameters`); no key on the command line, where other users could
read it. Out: one JSON line on standard output, `{"url": ...}` once requests are answered, or
`{"error": ..., "missing": ...}`; everything the library writes goes to standard error.

It lives as long as its standard input stays open, so that a parent that was killed leaves nothing behind.
It imports nothing of the package: starting must be fast.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from typing import Any, TypedDict

STDIN, STDOUT, STDERR = 0, 1, 2
# The lowest level that writes a line for each request that reaches the model; prompts are not written.
LOG_LEVEL = 3
HEALTH_PAUSE_S = 0.05
HEALTH_TIMEOUT_S = 5.0


class Parameters(TypedDict):
    """What the parent says. context_tokens: of one slot. port 0: any free one. key `None`: open to all."""

    gguf: str
    alias: str
    port: int
    threads: int
    slots: int
    context_tokens: int
    template: str | None
    key: str | None
    embedding: bool


def main() -> int:
    """Serve until standard input ends; gives the exit code, 1 when the server could not start."""
    parameters: Parameters = json.loads(_read_line())
    answer = _own_output()
    watcher = threading.Thread(target=_end_with_parent, daemon=True)
    watcher.start()
    try:
        # Kept in a variable: the server stops when it is collected.
        server = _start(parameters)
        url = str(server.listening_address)
        _await_health(url)
    except ImportError as error:
        return _say(answer, {"error": str(error), "missing": True})
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        return _say(answer, {"error": f"{type(error).__name__}: {error}", "missing": False})
    _say(answer, {"url": url})
    watcher.join()
    return 0


def _start(parameters: Parameters) -> Any:
    import xllamacpp

    # It ships no types.
    library: Any = xllamacpp
    settings = library.CommonParams()
    settings.model.path = parameters["gguf"]
    settings.model_alias = {parameters["alias"]}
    settings.hostnames = ["127.0.0.1"]
    settings.port = parameters["port"]
    if parameters["key"] is not None:
        settings.api_keys = [parameters["key"]]
    settings.n_parallel = parameters["slots"]
    # The library divides the context among the slots.
    settings.n_ctx = parameters["context_tokens"] * parameters["slots"]
    settings.cpuparams.n_threads = parameters["threads"]
    settings.cpuparams_batch.n_threads = parameters["threads"]
    if parameters["template"] is not None:
        settings.chat_template = parameters["template"]
    if parameters["embedding"]:
        settings.embedding = True
        # A text to embed must fit in one batch.
        settings.n_batch = settings.n_ubatch = parameters["context_tokens"]
    settings.ui = False
    settings.verbosity = LOG_LEVEL
    # As hosted services do when nothing is sent; the library's own defaults cut the tail of the distribution.
    settings.sampling.temp, settings.sampling.top_p = 1.0, 1.0
    settings.sampling.top_k, settings.sampling.min_p = 0, 0.0
    return library.Server(settings)


def _await_health(url: str) -> None:
    """Return when the server answers; the parent ends the wait when it takes too long."""
    # Without this, a proxy named in the environment would be asked for a loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{url}/health", timeout=HEALTH_TIMEOUT_S):
                return
        except OSError:
            time.sleep(HEALTH_PAUSE_S)


def _read_line() -> bytes:
    # Not `sys.stdin`: a thread waiting inside its buffer makes the interpreter abort at exit.
    line = b""
    while not line.endswith(b"\n") and (chunk := os.read(STDIN, 1)):
        line += chunk
    return line


def _own_output() -> int:
    """The descriptor for our one line; whatever else writes to standard output lands in standard error."""
    answer = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    return answer


def _say(answer: int, message: dict[str, object]) -> int:
    os.write(answer, json.dumps(message).encode() + b"\n")
    os.close(answer)
    return 1 if "error" in message else 0


def _end_with_parent() -> None:
    while os.read(STDIN, 1024):
        pass
    # At once, also amid a long answer: nobody is left to read it, and nothing here is worth saving.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
