"""Runs that MLflow does not hold yet: files beside the store, one a run, until it has taken them.

In: a parcel for MLflow. Out: the same, whenever MLflow is there again. A parcel is all that is needed: not
the store, the spec or the data. No address in it has a password.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from harness.errors import UsageError
from harness.outputs.files import write_text
from harness.outputs.tracking import Parcel, TrackedRun, log_run, target_of
from harness.store.codec import decode, encode

OUTBOX = Path(".harness/mlflow-pending")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A run that waits. target: the address of its MLflow, without credentials, as `target_of` says."""

    target: str
    parcel: Parcel

    @property
    def run(self) -> str:
        """Its name."""
        return self.parcel.record.run


def put(pending: Pending) -> Path:
    """Keep a run until `drop`, in place of an earlier state of it. Raises UsageError when it cannot be."""
    return write_text(_file(pending.run), encode(pending))


def send(parcel: Parcel, *, uri: str | None = None) -> TrackedRun:
    """Mirror a run in MLflow, which it waits for; without one it is kept for later.

    uri: as for `log_run`. Raises ProviderError when MLflow cannot be reached or refuses.
    """
    put(Pending(target=target_of(uri), parcel=parcel))
    tracked = log_run(parcel, tracking_uri=uri)
    drop(parcel.record.run)
    return tracked


def drop(run: str) -> None:
    """Forget a run that MLflow holds."""
    _file(run).unlink(missing_ok=True)
    rmtree(traces_of(run), ignore_errors=True)


def traces_of(run: str) -> Path:
    """The folder of its traced calls, which may not be there; `drop` removes it."""
    return (OUTBOX / f"{run}.traces").resolve()


def waiting() -> Iterator[Pending]:
    """What waits, oldest run first; a file that cannot be read is passed over."""
    found: list[Pending] = []
    for path in OUTBOX.glob("*.json"):
        try:
            found.append(decode(Pending, path.read_text(encoding="utf-8"), file=str(path)))
        except (OSError, UnicodeError, UsageError):
            continue
    yield from sorted(found, key=lambda one: one.parcel.record.started_at)


def _file(run: str) -> Path:
    # Absolute: a notebook may change its folder while a run is under way.
    return (OUTBOX / f"{run}.json").resolve()
