"""Ctrl-C or SIGTERM while a search is under way: once it stops well, twice it stops at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from harness.cli.interrupts import BY_SIGNAL, stop_on_second_interrupt

PATIENCE_S = 120.0
IN_FLIGHT = 4  # the concurrency of the desk's endpoint
FREE = 20  # requests that pass: in the middle of a block of calls, so that more are to come
LOOKS = 20_000  # at the store, some milliseconds each, until what passed is on disk

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])

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
    assert child.returncode == BY_SIGNAL + signal.SIGINT
    assert "harness tune --resume latest" in rest
    lost = answers.requests - desk.answered()  # what was in flight, and what was not on disk yet
    assert IN_FLIGHT <= lost < FREE
    answers.release()
    assert desk.harness("tune", "--resume", "latest", "-q").code == 0
    assert answers.requests - desk.answered() == lost


@SIGNALS
def test_once_is_an_interrupt_as_ever(number):
    """Code that cleans up on KeyboardInterrupt goes on to do so; afterwards all is as before."""
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), stop_on_second_interrupt("tune", quiet=True):
        signal.raise_signal(number)
    assert signal.getsignal(number) is before


@SIGNALS
def test_somebody_elses_handler_is_left_alone(number):
    """A program that has taken a signal over keeps it."""
    seen = []
    before = signal.signal(number, lambda *_: seen.append(True))
    try:
        with stop_on_second_interrupt("tune", quiet=True):
            signal.raise_signal(number)
            signal.raise_signal(number)
    finally:
        signal.signal(number, before)
    assert seen == [True, True]


def test_a_polite_kill_says_how_to_go_on(capfd):
    """The first SIGTERM is told as the first Ctrl-C is."""
    with pytest.raises(KeyboardInterrupt), stop_on_second_interrupt("tune", quiet=False):
        signal.raise_signal(signal.SIGTERM)
    assert "waiting for the calls in flight" in capfd.readouterr().err
