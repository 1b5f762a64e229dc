"""The verb that holds two spaces of vectors against each other: `drift`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from harness.cli.runs import STORE


@click.command()
@click.argument("before")
@click.argument("after", default="latest")
@click.option(
    *("-k", "--neighbours"),
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Neighbours compared, at most half of the other texts.",
)
@click.option("--at-least", type=click.FloatRange(0, 1), help="Exit with 1 when fewer of them stay, 0 to 1.")
@click.option("--json", "as_json", is_flag=True, help="The figures as JSON.")
@STORE
def drift(
    before: str, after: str, neighbours: int, at_least: float | None, as_json: bool, store: str | None
) -> int:
    """How far BEFORE and AFTER, two runs of embedding models, agree on who is near whom; nothing is sent.

    AFTER is the latest run where it is left out.
    """
    from harness.drift import space_drift
    from harness.outputs import numbers

    it = space_drift(before, after, k=neighbours, store=store)
    if as_json:
        runs = {"before": it.before[0], "after": it.after[0], "lowest_text": it.lowest}
        matched = {"compared": it.compared, "changed": it.changed, "alone": it.alone, "cut": it.cut}
        click.echo(json.dumps({**runs, **matched, **asdict(it.found)}, indent=2, ensure_ascii=False))
    else:
        for name, (run, settings) in (("before", it.before), ("after", it.after)):
            click.echo(f"{name:<8} {numbers.settings_line(settings)} ({run})")
        click.echo(f"{'compared':<8} {it.words()}")
        click.echo(f"{'drift':<8} {it.found.words()}")
        lowest = numbers.share(it.found.lowest_overlap)
        click.echo(f"{'moved':<8} {numbers.clipped(it.lowest, 100)!r} keeps {lowest} of its neighbours")
    return int(at_least is not None and it.found.overlap < at_least)


COMMANDS = (drift,)
