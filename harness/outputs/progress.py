"""How far a run is, in a notebook: one line in a cell's output that is replaced as the run goes on.

In: progress snapshots. Out: HTML without scripts, with plain text beside it, shown in one place, so that a
saved notebook holds the last line alone. Needs no widgets: hosts that know none, and pages that a notebook
was exported to, show it too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.clock import Clock, SystemClock
from harness.outputs import numbers
from harness.outputs.pages import render

if TYPE_CHECKING:
    from harness.findings import Progress

Show: TypeAlias = "Callable[[str, str], None]"
# Between two lines: a run that finds all answers in the store would send more than a browser can draw.
SHOWN_S = 0.2
PHASES = {
    "judges": "Measuring judges",
    "search": "Searching",
    "confirm": "Confirming",
    "eval": "Measuring",
}


class NotebookProgress:
    """Shows progress snapshots in one place, the last one for good.

    show: shows HTML and the same as plain text in place of what it showed before; `None`: in the output of
    the cell that runs. Nothing appears before the first snapshot.
    """

    def __init__(self, *, show: Show | None = None, clock: Clock | None = None) -> None:
        self._show = show
        self._clock = clock or SystemClock()
        self._next = self._clock.monotonic()
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Show this snapshot, unless one was shown just now; then the next one, or the end, shows it."""
        self._last = progress
        if self._clock.monotonic() >= self._next:
            self._draw(progress, share=min(1.0, progress.done / max(1, progress.planned)))
            self._next = self._clock.monotonic() + SHOWN_S

    def close(self) -> None:
        """Show the last snapshot, without a bar: a race that is over seldom asked for all that it might have.

        Harmless before the first one and when called twice.
        """
        if self._last is not None:
            self._draw(self._last, share=None)
            self._last = None

    def _draw(self, progress: Progress, *, share: float | None) -> None:
        if self._show is None:
            self._show = in_place()
        text = line(progress)
        self._show(render("progress.html.jinja", share=share, text=text), text)


def line(progress: Progress) -> str:
    """How far the run is, what it found and what it paid, in one line."""
    noun = "verdicts" if progress.phase == "judges" else "answers"
    done = f"{numbers.count(progress.done)} of at most {numbers.count(progress.planned)} {noun}"
    found = _found(progress)
    parts = [done, *([found] if found else []), _paid(progress), numbers.seconds(progress.elapsed_s)]
    note = f". {numbers.clipped(progress.note, 200)}" if progress.note else ""
    return f"{PHASES[progress.phase]}: {', '.join(parts)}{note}"


def in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, which shows HTML."""
    import sys

    shell = sys.modules.get("IPython")
    return shell is not None and hasattr(shell.get_ipython(), "kernel")


def in_place() -> Show:
    """Shows HTML with its plain text in the output of the cell that runs, always in the same place."""
    from IPython.display import display

    shown: list[Any] = []

    def show(html: str, text: str) -> None:
        bundle = {"text/html": html, "text/plain": text}
        if shown:
            shown[0].update(bundle, raw=True)
        else:
            shown.append(display(bundle, raw=True, display_id=True))

    return show


def _found(progress: Progress) -> str:
    """The quality so far: of the only settings, or of the best of those that are not out."""
    if progress.phase == "judges":
        return ""
    if progress.phase == "eval":
        return ", ".join(numbers.quality(trial.quality) for trial in progress.trials)
    told = numbers.counted(len(progress.trials), "trial")
    measured = [
        (trial.quality.value, trial)
        for trial in progress.trials
        if trial.quality is not None and trial.state != "eliminated"
    ]
    if not measured:
        return told
    _, best = max(measured, key=lambda pair: pair[0])
    return f"{told}, best {numbers.quality(best.quality)} (trial {best.number})"


def _paid(progress: Progress) -> str:
    spend = progress.spend
    cap = "" if spend.cap_usd is None else f" of {numbers.money(spend.cap_usd)}"
    stored = f", {numbers.counted(spend.cached, 'answer')} from the store" if spend.cached else ""
    return f"{numbers.money(spend.usd)}{cap} spent{stored}"
