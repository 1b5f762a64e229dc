"""Runs Python files in forks of one process that has loaded their packages already: that takes seconds.

Usage: python forks.py MODULE... Reads jobs as lines of JSON from stdin (arguments, the file first; folder,
environment, and files for what is printed) and answers each with its exit code. A fork is as alone as a
process of its own.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
import traceback
from pathlib import Path
from typing import Any


def run(job: dict[str, Any]) -> int:
    """Run one file as `python FILE ARGUMENTS` would, in this process; give its exit code."""
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environment"])
    sys.argv = job["arguments"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
            return 1
        return ended.code or 0
    except Exception:  # noqa: BLE001 - whatever ends a program is shown, as Python itself shows it
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Load the modules, then serve until there are no more jobs."""
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            for stream, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            code = run(job)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
