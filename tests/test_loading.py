"""Loading heavy libraries: when what they leave is kept out of the search for garbage."""

from __future__ import annotations

import subprocess
import sys

HEAD = """
import gc
from harness.loading import loading, run_alone
note = lambda: print(gc.get_freeze_count())
"""
LOAD = "with loading():\n    import {}\n"


def _frozen_after(code: str) -> list[int]:
    """How many objects are left out of the search for garbage, each time that `note()` is called."""
    done = subprocess.run([sys.executable, "-c", HEAD + code], capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]


def test_in_a_process_of_our_own_what_a_library_leaves_is_searched_no_more() -> None:
    """The classes of a library are never garbage, and looking at them again and again is dear."""
    (frozen,) = _frozen_after("run_alone()\n" + LOAD.format("xml.dom.minidom") + "note()")
    assert frozen > 1000


def test_a_library_that_was_loaded_before_freezes_nothing() -> None:
    """Each call through litellm asks for it: what the calls in flight hold must stay collectable."""
    again = LOAD.format("xml.dom.minidom")
    first, second = _frozen_after(
        f"run_alone()\n{again}note()\nkept = [[] for _ in range(5000)]\n{again}note()"
    )
    assert first == second


def test_in_somebody_elses_process_nothing_is_frozen() -> None:
    """In a notebook, the user's own objects would be kept with ours."""
    assert _frozen_after(LOAD.format("xml.dom.minidom") + "note()") == [0]
