"""Verbs about the store of answers: `cache stats`, `cache prune`, `cache verify`, `cache export`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from harness.store.contents import Contents
    from harness.store.store import Store

DAMAGED = 1
HOURS = {"h": 1, "d": 24, "w": 7 * 24}
STORE = click.option("--store", help="Database URL; default HARNESS_STORE, else one under .harness.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def cache() -> None:
    """Look after the stored answers: count, check, hand out, and thin out."""


@cache.command()
@JSON
@STORE
def stats(as_json: bool, store: str | None) -> None:
    """Say what the store holds, and what it cost and saved."""
    from harness.store.contents import contents

    with _opened(store) as database:
        found = contents(database)
    if as_json:
        click.echo(json.dumps({"answers": found.answers, **asdict(found)}, indent=2, default=_moment))
        return
    for name, text in _lines(found):
        click.echo(f"{name:<9} {text}")


@cache.command()
@click.option("--older-than", metavar="AGE", help="Answers older than this, as in 12h, 30d or 8w.")
@click.option("--model", metavar="NAME", help="Answers of this model, provider/name.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@STORE
def prune(older_than: str | None, model: str | None, dry_run: bool, store: str | None) -> None:
    """Remove answers by age, by model, or both.

    What was paid for them stays in the ledger. Removed answers are paid again when they are asked again; a
    run that rests on them keeps its results and exports, but its report cannot be made anew.
    """
    from datetime import UTC, datetime

    from harness.outputs import numbers
    from harness.store.contents import Which, prune

    before = None if older_than is None else datetime.now(UTC) - _age(older_than)
    with _opened(store) as database:
        gone = prune(database, Which(model=model, before=before), dry_run=dry_run)
    what = f"{numbers.counted(gone.answers, 'answer')}, {numbers.money(gone.list_usd)} at list price"
    click.echo(f"{'would remove' if dry_run else 'removed'} {what}")
    if gone.runs:
        click.echo(f"{numbers.counted(gone.runs, 'run')} paid for them")
    if not gone.shrunk:
        click.echo("the file keeps its size: others are at work in it; new answers take the room", err=True)


@cache.command()
@click.option("--remove", is_flag=True, help="Take damaged answers out: they are asked again when needed.")
@JSON
@STORE
def verify(remove: bool, as_json: bool, store: str | None) -> int:
    """Check that the store can be read and is what was written; ends with 1 if not."""
    from harness.outputs import numbers
    from harness.store.contents import verify

    with _opened(store) as database:
        found = verify(database, remove=remove)
        address = database.address
    if as_json:
        click.echo(json.dumps({"store": address, **asdict(found)}, indent=2))
        return DAMAGED if found.faults else 0
    looked = f"{numbers.counted(found.answers, 'answer')} and {numbers.counted(found.runs, 'run')}"
    if not found.faults:
        click.echo(f"{address}: sound ({looked})")
        return 0
    click.echo(f"{address}: {numbers.counted(found.faults, 'fault')} ({looked})")
    for fault in found.listed:
        click.echo(f"  {fault}")
    if found.faults > len(found.listed):
        click.echo(f"  and {numbers.count(found.faults - len(found.listed))} more")
    if found.removed:
        click.echo(
            f"removed {numbers.counted(found.removed, 'answer')}; what was paid for them stays in the ledger"
        )
    return DAMAGED


@cache.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File; default standard output.")
@click.option("--model", metavar="NAME", help="Answers of this model alone, provider/name.")
@STORE
def export(output: Path | None, model: str | None, store: str | None) -> None:
    """Write the answers as JSON Lines, sorted by key.

    What was asked is not in the store: an answer is found under a hash of its call, its key.
    """
    from harness.outputs import numbers
    from harness.outputs.files import replacing

    with _opened(store) as database:
        if output is None:
            _write_lines(database, model, sys.stdout)
            return
        with replacing(output) as partial, partial.open("w", encoding="utf-8", newline="\n") as stream:
            count = _write_lines(database, model, stream)
    click.echo(f"wrote {output}: {numbers.counted(count, 'answer')}")


@contextmanager
def _opened(url: str | None) -> Generator[Store]:
    from harness.store.store import open_store

    with closing(open_store(url)) as database:
        yield database


def _write_lines(database: Store, model: str | None, stream: TextIO) -> int:
    from harness.store.contents import export_rows

    count = 0
    for row in export_rows(database, model):
        stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _age(text: str) -> timedelta:
    from datetime import timedelta

    from harness.errors import UsageError

    found = re.fullmatch(r"(\d{1,5})([hdw])", text.strip())
    if found is None:
        raise UsageError(f"--older-than is {text!r}; expected hours, days or weeks, as in 12h, 30d or 8w")
    return timedelta(hours=int(found[1]) * HOURS[found[2]])


def _moment(value: object) -> str:
    from datetime import datetime

    assert isinstance(value, datetime), "nothing else in here is unknown to JSON"
    return value.isoformat()


def _lines(found: Contents) -> list[tuple[str, str]]:
    from harness.outputs import numbers

    def day(moment: datetime) -> str:
        return f"{moment:%Y-%m-%d}"

    models = [
        (
            f"{model.model}: {numbers.counted(model.answers, 'answer')}, "
            f"{f'vectors of {numbers.size(model.vector_bytes)} in all, ' if model.vectors else ''}"
            f"{numbers.money(model.list_usd)} at list price"
            f"{f' ({numbers.count(model.unpriced)} of unknown price)' if model.unpriced else ''}, "
            f"{day(model.oldest)} to {day(model.newest)}"
        )
        for model in found.models
    ]
    failures = [f"{numbers.count(count)} {kind}" for kind, count in found.failures.items()]
    return [
        ("store", f"{found.address}, {numbers.size(found.size_bytes)}"),
        ("answers", f"{numbers.count(found.answers)} of {numbers.counted(len(found.models), 'model')}"),
        *(("", line) for line in models),
        ("runs", numbers.count(found.runs)),
        ("paid", f"{numbers.money(found.paid_usd)} for {numbers.counted(found.paid_calls, 'call')}"),
        ("saved", f"{numbers.money(found.saved_usd)} by answers that runs found here"),
        ("failures", ", ".join(failures) or "none"),
    ]


COMMANDS = (cache,)
