"""Verbs that look back and hold runs against each other: `compare`, `list`, `show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.runs import ALLOW_CODE, INCONCLUSIVE, REPORTS, STORE

if TYPE_CHECKING:
    from harness.comparing import CompareResult
    from harness.findings import RunRecord
    from harness.records import JsonValue
    from harness.store.store import RunRow, Store

LISTED = 30  # runs; the figures of each are read from its record


@click.command()
@click.argument("base")
@click.argument("new")
@click.option("--spec", type=click.Path(path_type=Path), help="Measure settings files on this spec's task.")
@click.option(
    "--tolerance", type=float, default=0.01, show_default=True, help="Drop that does not matter, 0 to 1."
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Chance of a false verdict.")
@click.option("--metric", "metrics", multiple=True, help="Decide by this metric or scorer; default: all.")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--markdown", is_flag=True, help="Print it as Markdown.")
@ALLOW_CODE
@STORE
@REPORTS
def compare(*, as_json: bool, markdown: bool, **options: Any) -> int:
    """Hold NEW against BASE on the same samples: verdict, difference, flips, slices, price, latency.

    Each is a run, RUN:NUMBER for a finalist of a search, a baseline file or, with --spec, a file of settings.
    """
    from harness.outputs.comparison import json_text

    it = compared(**options)
    if as_json:
        click.echo(json_text(it.comparison), nl=False)
    else:
        click.echo(it.markdown() if markdown else repr(it))
    return INCONCLUSIVE if it.verdict == "unclear" else 0


def compared(
    base: str,
    new: str,
    *,
    metrics: tuple[str, ...],
    output: Path,
    allow_code: bool | None,
    as_json: bool = False,
    markdown: bool = False,
    **options: Any,
) -> CompareResult:
    """What `compare` shows, from the values of its options. as_json, markdown: are of no account here."""
    from harness.comparing import compare as run_compare

    del as_json, markdown
    more = {} if allow_code is None else {"allow_code": allow_code}
    return run_compare(base, new, metrics=metrics or None, reports=output, **more, **options)


def shown_run(run: str, *, store: str | None, as_json: bool = False) -> RunRecord:
    """What `show` shows of a run that has ended. as_json: is of no account here."""
    from harness.past import record_of

    del as_json
    return record_of(run, store=store)


@click.command("list")
@click.option("-n", "--limit", type=click.IntRange(min=0), default=LISTED, show_default=True, help="0: all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@STORE
def list_runs(limit: int, as_json: bool, store: str | None) -> None:
    """List the runs of the store, newest first: state, quality, what they spent."""
    from harness.store.store import open_store

    database = open_store(store)
    try:
        rows = database.runs()
        shown = rows[:limit] if limit else rows
        lines = [_line(row, database) for row in shown]
    finally:
        database.close()
    if as_json:
        click.echo(json.dumps(lines, indent=2, ensure_ascii=False))
        return
    for line in lines:
        click.echo(_text(line))
    if len(rows) > len(shown):
        click.echo(f"and {len(rows) - len(shown)} older ones; -n 0 lists all")
    if not rows:
        click.echo("no runs yet; begin with `harness tune SPEC`")


@click.command()
@click.argument("run", default="latest")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@STORE
def show(run: str, as_json: bool, store: str | None) -> int:
    """Show what RUN (default: the latest) found, from the store alone; nothing is sent."""
    from harness.outputs import display, numbers
    from harness.store.codec import encode
    from harness.store.store import open_store

    database = open_store(store)
    try:
        row = database.run(run)
        spent = database.spent(row.run)
    finally:
        database.close()
    if as_json:
        click.echo("null" if row.record is None else encode(row.record, indent=2))
    elif row.record is not None:
        click.echo(display.text(row.record))
    else:
        paid = numbers.counted(spent.calls, "call")
        click.echo(
            f"{row.experiment}, run {row.run} ({row.state}), begun {row.started_at:%Y-%m-%d %H:%M}\n"
            f"It has not ended; {numbers.money(spent.usd)} spent for {paid}.\n"
            f"Go on with `harness {row.verb} --resume {row.run}`."
        )
    return 0 if row.record is not None and row.record.state == "complete" else INCONCLUSIVE


def _line(row: RunRow, database: Store) -> dict[str, JsonValue]:
    """A run as a JSON-like object; what is unknown is `null`."""
    from dataclasses import asdict

    record = None if row.ended_at is None else database.run(row.run).record
    quality = None
    if record is not None:
        choice = record.recommendation
        trial = record.trials[0] if row.verb == "eval" and record.trials else choice and choice.trial
        quality = trial.quality if trial else None
    return {
        "run": row.run,
        "state": row.state,
        "verb": row.verb,
        "experiment": row.experiment,
        "started_at": row.started_at.isoformat(),
        "ended_at": None if row.ended_at is None else row.ended_at.isoformat(),
        "metric": None if record is None else record.metric,
        "quality": None if quality is None else asdict(quality),
        "spent_usd": database.spent(row.run).usd,
    }


def _text(line: dict[str, Any]) -> str:
    from harness.outputs import numbers
    from harness.records import Estimate

    known = line["quality"]
    quality = "" if known is None else f"{line['metric']} {numbers.quality(Estimate(**known))}"
    started = line["started_at"][:16].replace("T", " ")
    return (
        f"{line['run']:<44} {line['state']:<12} {line['verb']:<5} {started} "
        f"{numbers.money(line['spent_usd']):>9}  {quality}"
    ).rstrip()


COMMANDS = (compare, list_runs, show)
