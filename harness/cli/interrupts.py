"""Ctrl-C at the terminal: once to stop well, twice to stop now.

In: a block that spends money. Out: KeyboardInterrupt at the first Ctrl-C, upon which the engine waits for
what is in flight and keeps it; at the second one the process is gone. The store is sound either way.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from harness.records import Verb

ENDED_AT_ONCE = 130  # what a shell says of a program that Ctrl-C ended
_WAITING = "\nharness: waiting for the calls in flight, to keep their answers; Ctrl-C again stops at once\n"
_GONE = "\nharness: stopped at once, without the calls in flight; go on with `harness {} --resume latest`\n"
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_on_second_interrupt(verb: Verb, *, quiet: bool) -> Generator[None]:
    """Let a second Ctrl-C within the block end the process, with exit code 130.

    verb: the one that goes on later. quiet: say nothing at the first one. Does nothing outside the main
    thread, and where somebody else has taken Ctrl-C over.
    """
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    interrupted = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            _end(verb)
        interrupted = True
        if not quiet:
            _say(_WAITING)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(verb: Verb) -> NoReturn:
    _say((_SHOW_CURSOR if sys.stderr.isatty() else "") + _GONE.format(verb))
    # Not an exception: it would wait for threads, and they for providers.
    os._exit(ENDED_AT_ONCE)


def _say(text: str) -> None:
    # Not `print`: the signal may have come in the middle of one.
    os.write(2, text.encode())
