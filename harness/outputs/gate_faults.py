"""A gate that came to no verdict, in words: what stands where its verdict would have stood.

In: the error that ended it. Out: a pull request's comment, JUnit XML, and what GitHub shows beside a run.
Must not decide anything or write a file.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from harness.outputs import gate_words, junit
from harness.outputs.pages import render

MOST_LINES = 20  # of a message that names every fault of a spec


@dataclass(frozen=True, slots=True)
class GateFault:
    """What ended a gate. kind: class of the error. message: may have several lines. code: of the exit."""

    experiment: str
    kind: str
    message: str
    code: int


def markdown(it: GateFault) -> str:
    """As a comment that takes the place of an earlier verdict: its first line is the same marker."""
    lines = it.message.splitlines()
    more = len(lines) - MOST_LINES
    shown = [*lines[:MOST_LINES], *([f"and {more} more"] if more > 0 else [])]
    name = Markup(gate_words.marker(it.experiment))  # noqa: S704 - a name of letters, digits, dots and dashes
    return render("gate_fault.md.jinja", it=it, marker=name, lines=shown)


def junit_text(it: GateFault) -> str:
    """As JUnit XML: one test case, with an error."""
    return junit.error_text(it.experiment, it.kind, it.message)


def workflow_command(it: GateFault) -> str:
    """What GitHub's page of the run shows at the top."""
    return gate_words.workflow_command("error", f"harness gate {it.experiment}", it.message)
