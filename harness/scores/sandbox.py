"""Runs a program that nobody trusts, in a process of its own that can do next to nothing.

In: source text and limits. Out: whether it came to its end, or what stopped it. The process has its own
session, an empty environment, a folder that vanishes with it, and limits on time, memory, files and output;
`sandboxed` says what the kernel refuses it. Nothing of it is left when `run` returns.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import platform
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

INSIDE = Path(__file__).with_name("sandboxed.py")
FILE_BYTES = 1_000_000
FOLDER_BYTES = 16_000_000
FOLDER_FILES = 200
OPEN_FILES = 32
OUTPUT_BYTES = 1_000_000
LOOK_S = 0.05
LONGEST_REASON = 200
CREATE_RULESET, ASK_VERSION = 444, 1


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended. reason: empty when it passed. safe: False when it was not run, unisolated."""

    passed: bool
    reason: str = ""
    safe: bool = True


def unavailable(*, isolated: bool) -> str:
    """Why programs cannot be run on this machine, or an empty text. isolated: with the kernel's help."""
    if os.name != "posix":
        return f"{platform.system()} has no limits on processes; use Linux, or a container with it"
    if not isolated:
        return ""
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        return f"{platform.system()} on {platform.machine()} has no Landlock; use Linux on x86-64 or arm64"
    if ctypes.CDLL(None, use_errno=True).syscall(CREATE_RULESET, None, 0, ASK_VERSION) < 1:
        return "this kernel has no Landlock; it came with Linux 5.13, and some containers forbid it"
    return ""


def run(program: str, *, seconds: float, memory_mb: int, isolated: bool = True) -> Ran:
    """Run the program to its end, or until a limit stops it.

    seconds: of wall clock and of CPU. memory_mb: address space, the interpreter's own 30 MB included.
    isolated: False leaves only limits, session and folder: the program may then read, write and send what
    this user may.
    """
    token = secrets.token_hex(16)
    limits = {
        "cpu_s": math.ceil(seconds),
        "memory_bytes": memory_mb * 1_000_000,
        "file_bytes": FILE_BYTES,
        "files": OPEN_FILES,
    }
    with tempfile.TemporaryDirectory(prefix="harness-", ignore_cleanup_errors=True) as folder:
        read_end, write_end = os.pipe()
        order = {"program": program, "token": token, "descriptor": write_end, "folder": folder}
        text = json.dumps({**order, "isolated": isolated, "limits": limits})
        with os.fdopen(read_end, "rb") as result:
            try:
                process = _start(folder, write_end)
            finally:
                os.close(write_end)
            try:
                stopped = _watch(process, text.encode("utf-8", "surrogatepass"), Path(folder), seconds)
            finally:
                _end(process)
            os.set_blocking(read_end, False)  # a copy of the descriptor may be held by what got away
            said = (result.read(8192) or b"").decode("utf-8", "replace")
    return _read(said, token, stopped, process.returncode, seconds)


def _start(folder: str, report: int) -> subprocess.Popen[bytes]:
    """A fresh interpreter in a session of its own, with nothing of ours but the descriptor to report on."""
    return subprocess.Popen(  # noqa: S603 - this interpreter and our own file
        [sys.executable, "-I", "-S", "-B", "-X", "utf8", str(INSIDE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env={},
        pass_fds=(report,),
        start_new_session=True,
    )


def _watch(process: subprocess.Popen[bytes], order: bytes, folder: Path, seconds: float) -> str:
    """Wait for the end of the process; gives what it has to be stopped for, or an empty text."""
    deadline = time.monotonic() + seconds
    assert process.stdin is not None, "it was asked for"
    assert process.stdout is not None, "it was asked for"
    with suppress(BrokenPipeError), process.stdin as stream:
        stream.write(order)
    written = 0
    with selectors.DefaultSelector() as selector, process.stdout as output:
        selector.register(output, selectors.EVENT_READ)
        while selector.get_map():
            if time.monotonic() >= deadline:
                return _too_slow(seconds)
            if _overflows(folder):
                return (
                    f"filled its folder with more than {FOLDER_BYTES // 1_000_000} MB or {FOLDER_FILES} files"
                )
            for _ in selector.select(min(LOOK_S, max(0.0, deadline - time.monotonic()))):
                got = len(os.read(output.fileno(), 65536))
                written += got
                if not got:
                    selector.unregister(output)
                if written > OUTPUT_BYTES:
                    return f"wrote more than {OUTPUT_BYTES // 1_000_000} MB of output"
    with suppress(subprocess.TimeoutExpired):
        # Its output is closed, which it may have done itself, to go on in silence.
        process.wait(max(0.0, deadline - time.monotonic()))
        return ""
    return _too_slow(seconds)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the session and wait until the process is gone."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _overflows(folder: Path) -> bool:
    size = files = 0
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            files += 1
            with suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_size
            if files > FOLDER_FILES or size > FOLDER_BYTES:
                return True
    return False


def _read(said: str, token: str, stopped: str, code: int, seconds: float) -> Ran:
    """What came of it, from what the inside reported."""
    if said == token + "passed":
        return Ran(passed=True)
    if said.startswith(token):
        return Ran(passed=False, reason=said.removeprefix(token), safe=False)
    if stopped:
        return Ran(passed=False, reason=stopped)
    if code == -signal.SIGXCPU or (code == -signal.SIGKILL and not said):
        return Ran(passed=False, reason=_too_slow(seconds))
    if code < 0:
        return Ran(passed=False, reason=f"ended by {signal.Signals(-code).name}")
    plain = "".join(character if character.isprintable() else " " for character in said).strip()
    return Ran(passed=False, reason=plain[:LONGEST_REASON] or "ended before its tests did")


def _too_slow(seconds: float) -> str:
    return f"not done after {seconds:g} s"
