"""Ctrl-C at the terminal, or a polite kill: once to stop well, twice to stop now.

In: a block that spends money. Out: KeyboardInterrupt at the first signal, upon which the engine waits for
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

BY_SIGNAL = 128  # what a shell adds to a signal's number to say that it ended a program
# SIGTERM is how containers, CI and `timeout` end a program; what is in flight is paid there as well.
_SIGNALS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
_WAITING = "\nharness: waiting for the calls in flight, to keep their answers; {} again stops at once\n"
_GONE = "\nharness: stopped at once, without the calls in flight; go on with `harness {} --resume latest`\n"
_SHOW_CURSOR = "\x1b[?25h"


@contextmanager
def stop_on_second_interrupt(verb: Verb, *, quiet: bool) -> Generator[None]:
    """Let a second Ctrl-C or SIGTERM within the block end the process, with 128 and the signal's number.

    verb: the one that goes on later. quiet: say nothing at the first one. Does nothing outside the main
    thread, and for a signal that somebody else has taken over.
    """
    mine = threading.current_thread() is threading.main_thread()
    taken = [number for number, free in _SIGNALS.items() if mine and signal.getsignal(number) is free]
    interrupted = False

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            _end(verb, number)
        interrupted = True
        if not quiet:
            _say(_WAITING.format("Ctrl-C" if number == signal.SIGINT else "SIGTERM"))
        signal.default_int_handler(number, frame)

    for number in taken:
        signal.signal(number, on_interrupt)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, _SIGNALS[number])


def _end(verb: Verb, number: int) -> NoReturn:
    _say((_SHOW_CURSOR if sys.stderr.isatty() else "") + _GONE.format(verb))
    # Not an exception: it would wait for threads, and they for providers.
    os._exit(BY_SIGNAL + number)


def _say(text: str) -> None:
    # Not `print`: the signal may have come in the middle of one.
    os.write(2, text.encode())
