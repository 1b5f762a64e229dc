"""A run under way as MLflow runs, written by a thread of its own: no run waits for MLflow.

In: the record so far, whenever trials have ended, and at the end all of it. Out: MLflow runs, as far as the
server takes them. What it does not take stays in the outbox, for the next run or `harness mlflow sync`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from harness.clock import Clock
from harness.errors import HarnessError, ProviderError, UsageError
from harness.findings import RunRecord
from harness.outputs import outbox
from harness.outputs.mlflow_store import MlflowStore, open_mlflow
from harness.outputs.outbox import Pending
from harness.outputs.tracking import Parcel, RunMirror, TrackedRun, log_run, refusal, target_of

# What the end of a run gives MLflow: a share of the time that the run took, and in any case some seconds.
PATIENCE_SHARE, PATIENCE_S = 0.05, 5.0
FILE_PATIENCE_S = 60.0  # for a file, which is never away; to make its tables takes some ten seconds
# A request without an answer for so long has met a server that hangs; one that failed before is told sooner.
SILENT_S, SILENT_AGAIN_S = 5.0, 1.0
PAUSES_S = (1.0, 2.0, 5.0, 15.0, 60.0)  # between tries while the run goes on; the last one again and again
LAST_PAUSES_S = (0.0, 0.3, 1.0)  # before each of the tries at the end
FAREWELL_S = 1.0  # that a run which broke off gives MLflow to note it


@dataclass(slots=True)
class Tracker:
    """Shows one run to MLflow. uri: of its tracking store; `None`: the one of our own.

    trouble: why MLflow does not hold the run so far; empty while all is well. tracked: where the whole run
    is, once it is there.
    """

    run: str
    experiment: str
    clock: Clock
    uri: str | None
    trouble: str = ""
    tracked: TrackedRun | None = None
    _news: RunRecord | None = None
    _parcel: Parcel | None = None
    _broken: RunRecord | None = None
    _older: list[Pending] = field(default_factory=list[Pending])
    _closed: bool = False  # nobody waits any more
    _done: bool = False  # nothing more is written
    _not_before: float = 0.0
    _steps: int = 0  # of the try under way; before the first one, MLflow is still being imported
    _stepped_at: float | None = None  # `None`: no try is under way
    _store: MlflowStore | None = None
    _mirror: RunMirror | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    # -- for the run

    def show(self, record: RunRecord) -> None:
        """Write the trials of this record soon; of several that came meanwhile, the newest. Never waits."""
        with self._changed:
            self._news = record
            self._changed.notify_all()

    def finish(self, parcel: Parcel, *, took_s: float) -> TrackedRun | None:
        """Write all of the run, and say where it is; `None` where MLflow did not take it in time.

        took_s: the time of the run, of which MLflow gets a share. The parcel is in the outbox until then.
        """
        with suppress(UsageError):  # a full disk does not undo a run that is over and stored
            outbox.put(Pending(target=target_of(self.uri), parcel=parcel))
        with self._changed:
            self._parcel = parcel
            self._changed.notify_all()
        with suppress(KeyboardInterrupt):  # whoever does not want to wait has the parcel in the outbox
            if self._is_file():
                self._await(FILE_PATIENCE_S, silent_s=FILE_PATIENCE_S)
            else:
                silent_s = SILENT_AGAIN_S if self.trouble else SILENT_S
                self._await(max(PATIENCE_S, PATIENCE_SHARE * took_s), silent_s=silent_s)
        self._close()
        if self.tracked is None and not self.trouble:
            self.trouble = self._words(TimeoutError("it does not answer in time"))
        return self.tracked

    def break_off(self, record: RunRecord) -> None:
        """Say that the run ended by a fault, if MLflow knows of it and answers."""
        with self._changed:
            self._broken = record
            self._changed.notify_all()
        self._await(FAREWELL_S, silent_s=FAREWELL_S)
        self._close()

    def _await(self, patience_s: float, *, silent_s: float) -> None:
        """Wait until all is written, but not for longer than this, nor for a server silent for so long."""
        until = time.monotonic() + patience_s
        with self._changed:
            while not self._done and (left_s := until - time.monotonic()) > 0:
                since = self._stepped_at
                if since is not None and self._steps and time.monotonic() - since > silent_s:
                    return
                self._changed.wait(min(left_s, SILENT_AGAIN_S))

    def _close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _is_file(self) -> bool:
        return self.uri is None or self.uri.startswith(("sqlite:", "file:")) or ":" not in self.uri

    # -- in the thread

    def work(self) -> None:
        """Write what is shown, and then the whole, trying again where MLflow fails.

        Runs that wait in the outbox come when there is time: while trials are answered, or at the end.
        """
        try:
            self._older = [
                one for one in outbox.waiting() if one.target == target_of(self.uri) and one.run != self.run
            ]
            failures = 0 if self._try(self._open) else 1
            while self._wait(failures):
                act = self._trials if self._news is not None else self._fill_in
                failures = 0 if self._try(act) else failures + 1
            for pause_s in LAST_PAUSES_S if not self._closed else ():
                time.sleep(pause_s)
                if self._try(self._end):
                    break
            while self.tracked is not None and self._older and not self._closed:
                self._try(self._fill_in)
        finally:
            with self._changed:
                self._done = True
                self._changed.notify_all()

    def _wait(self, failures: int) -> bool:
        """Wait for something to write; False when what comes is the end."""
        pause_s = PAUSES_S[min(failures, len(PAUSES_S)) - 1] if failures else 0.0
        until = time.monotonic() + pause_s
        with self._changed:
            while not (self._closed or self._parcel or self._broken):
                there = self._news is not None or (self._older and self._store is not None)
                left_s = until - time.monotonic()
                if there and left_s <= 0:
                    return True
                self._changed.wait(left_s if there else None)
        return False

    def _try(self, act: Callable[[], object]) -> bool:
        self._steps, self._stepped_at = 0, time.monotonic()
        try:
            act()
        except Exception as error:  # noqa: BLE001 - MLflow passes on whatever its libraries raise
            # What arrived of it is not known: the next try looks.
            self._store = self._mirror = None
            self.trouble = self._words(error)
            return False
        finally:
            self._stepped_at = None
        self.trouble = ""
        return True

    def _step(self) -> None:
        self._steps, self._stepped_at = self._steps + 1, time.monotonic()

    def _open(self) -> MlflowStore:
        if self._store is None:
            self._store = open_mlflow(self.uri, self.experiment, self.clock, self._step)
        return self._store

    def _mirror_of(self, record: RunRecord) -> RunMirror:
        if self._mirror is None:
            self._mirror = RunMirror.of(self._open(), record)
        return self._mirror

    def _trials(self) -> None:
        record = self._news
        assert record is not None, "there is news"
        self._mirror_of(record).trials(record)
        with self._changed:
            if self._news is record:
                self._news = None

    def _fill_in(self) -> None:
        """One run of the outbox, that MLflow did not take when it was its turn."""
        older = self._older.pop(0)
        log_run(older.parcel, tracking_uri=self.uri, clock=self.clock, on_step=self._step)
        outbox.drop(older.run)

    def _end(self) -> None:
        parcel, broken = self._parcel, self._broken
        if parcel is not None:
            self.tracked = self._mirror_of(parcel.record).whole(parcel)
            outbox.drop(self.run)
        elif broken is not None and self._mirror is not None:
            self._mirror.fail(broken)

    def _words(self, error: Exception) -> str:
        return str(error if isinstance(error, ProviderError) else refusal(self.run, self.uri, error))


@contextmanager
def tracked(run: str, experiment: str, clock: Clock, broken: Callable[[], RunRecord]) -> Generator[Tracker]:
    """A tracker at work for this run, for the tracking store that the environment names.

    broken: the record to show where the run ends by a fault.
    """
    tracker = Tracker(run, experiment, clock, os.environ.get("MLFLOW_TRACKING_URI") or None)
    threading.Thread(target=tracker.work, name="harness-mlflow", daemon=True).start()
    try:
        yield tracker
    except HarnessError:
        tracker.break_off(broken())
        raise
