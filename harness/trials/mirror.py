"""A run under way as a study in an Optuna storage, for a dashboard to watch. A door to Optuna.

In: trials, whenever a block of answers is in. Out: a study, written by a thread of its own, because a commit
to a database takes longer than a search may wait. When the storage fails, the mirror stops and says so once.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.findings import RunRecord, Trial
from harness.plan.limits import excess
from harness.plan.plan import Plan
from harness.plan.problems import shown
from harness.trials.study import (
    attributes_of,
    clear,
    empty_study,
    opened,
    proposed,
    seen_of,
    state_of,
    values_of,
    write_study,
)

if TYPE_CHECKING:
    import optuna

PATIENCE_S = 30  # that the end of a run waits for a storage, which may be writing a trial at that moment
SHOWN = ("state", "reason", "samples", "quality")  # each is a commit; the finished study has the others too


@dataclass(slots=True)
class _Live:
    """A trial of the mirror. samples: told last; ended: nothing can be added to it."""

    trial: optuna.trial.Trial
    samples: int = 0
    ended: bool = False


@dataclass(slots=True)
class Mirror:
    """Shows the trials of one run. trouble: why it stopped; empty while it works."""

    run: str
    plan: Plan
    storage: str
    trouble: str = ""
    _news: Sequence[Trial] | None = None
    _over: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _live: dict[int, _Live] = field(default_factory=dict[int, _Live])

    def show(self, trials: Sequence[Trial]) -> None:
        """Write these trials down soon; all of the run so far, by number. Never waits."""
        with self._changed:
            self._news = trials
            self._changed.notify_all()

    def work(self) -> None:
        """Write what is shown until `close`; snapshots that came too fast are skipped, and so is the last."""
        try:
            with opened(self.storage) as there:
                clear(there, self.run, self.run)
                study = empty_study(self.run, self.plan, there)
                while (trials := self._next()) is not None:
                    for trial in trials:
                        if self._over:  # the finished study will hold it
                            return
                        self._write(study, trial)
        except UsageError as error:
            self.trouble = self.words(error)

    def close(self) -> None:
        """No more trials come, and none is begun to be written."""
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def finish(self, record: RunRecord) -> RunRecord:
        """Write the whole study in place of the one that grew with the run, and could not know its end.

        Gives the record, with a note on trouble that it does not hold yet.
        """
        try:
            if not self.trouble:
                write_study(record, self.plan, self.storage)
        except UsageError as error:
            self.trouble = self.words(error)
        missing = self.trouble not in ("", *record.notes)
        return replace(record, notes=(*record.notes, self.trouble)) if missing else record

    def words(self, error: UsageError) -> str:
        """What to tell of a fault."""
        return f"{error}; the run went on without this mirror, and `harness study {self.run}` writes it again"

    def _next(self) -> Sequence[Trial] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._news is not None)
            news, self._news = self._news, None
            return None if self._over else news

    def _write(self, study: optuna.Study, trial: Trial) -> None:
        live = self._live.get(trial.number)
        if live is None:
            live = self._live[trial.number] = _Live(proposed(study, trial, self.plan))
        if live.ended:
            return
        if trial.samples > live.samples:
            for samples, quality in seen_of(trial, self.plan).items():
                live.trial.report(quality, samples)
            live.samples = trial.samples
        values = values_of(trial, self.plan)
        state = state_of(trial, values)
        if not state.is_finished():
            return
        for name, value in attributes_of(trial).items():
            if name in SHOWN:
                live.trial.set_user_attr(name, value)
        for name, broken in excess(trial, self.plan.aim.limits).items():
            live.trial.set_constraint(name, broken)
        study.tell(live.trial, values, state)
        live.ended = True


@contextmanager
def mirrored(run: str, plan: Plan) -> Generator[Mirror | None]:
    """A mirror at work in a thread, for the storage that the plan names.

    `None` when it names none, and for an evaluation, which searches nothing.
    """
    if plan.optuna_storage is None or plan.evaluated is not None:
        yield None
        return
    mirror = Mirror(run, plan, plan.optuna_storage)
    thread = threading.Thread(target=mirror.work, name="harness-optuna-mirror", daemon=True)
    thread.start()
    try:
        yield mirror
    finally:
        mirror.close()
        thread.join(PATIENCE_S)
        if thread.is_alive():
            silent = UsageError(
                f"the Optuna storage {shown(mirror.storage)} did not answer for {PATIENCE_S} s"
            )
            mirror.trouble = mirror.words(silent)
