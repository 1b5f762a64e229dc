"""Ctrl-C while a search is under way: once it stops well, twice it stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.cli.interrupts import ENDED_AT_ONCE, stop_on_second_interrupt

PATIENCE_S = 120.0
IN_FLIGHT = 4  # the concurrency of the desk's endpoint
FREE = 20  # requests that pass: in the middle of a block of calls, so that more are to come
LOOKS = 20_000  # at the store, some milliseconds each, until what passed is on disk

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


def test_twice_ends_at_once(desk, answers):
    """Calls in flight, which never come back here, are not waited for; the run can be resumed."""
    desk.spec(api_base=answers.url)
    answers.hold_after(FREE)
    command = [sys.executable, "-m", "harness", "tune", "words.yaml"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=desk.folder) as child:
        try:
            answers.await_held(IN_FLIGHT)
            assert any(desk.answered() >= FREE for _ in range(LOOKS)), "what was answered is not on disk"
            child.send_signal(signal.SIGINT)
            assert child.stderr is not None
            told = ""
            while "Ctrl-C again" not in told:  # it has taken the first one
                told = child.stderr.readline()
                assert told, "it ended at the first Ctrl-C"
            child.send_signal(signal.SIGINT)
            _, rest = child.communicate(timeout=PATIENCE_S)
        finally:
            child.kill()
    assert child.returncode == ENDED_AT_ONCE
    assert "harness tune --resume latest" in rest
    lost = answers.requests - desk.answered()  # what was in flight, and what was not on disk yet
    assert IN_FLIGHT <= lost < FREE
    answers.release()
    assert desk.harness("tune", "--resume", "latest", "-q").code == 0
    assert answers.requests - desk.answered() == lost


def test_once_is_an_interrupt_as_ever():
    """Code that cleans up on KeyboardInterrupt goes on to do so; afterwards all is as before."""
    with pytest.raises(KeyboardInterrupt), stop_on_second_interrupt("tune", quiet=True):
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_somebody_elses_handler_is_left_alone():
    """A program that has taken Ctrl-C over keeps it."""
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(True))
    try:
        with stop_on_second_interrupt("tune", quiet=True):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [True, True]
