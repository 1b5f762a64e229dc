"""Verbs that hand settings on: `export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from datetime import date

    from harness.catalogue.models import Catalogue
    from harness.outputs.exports.registry import Written
    from harness.outputs.exports.selection import Selection
    from harness.past import Chosen
    from harness.records import JsonValue


@click.command()
@click.argument("target", required=False)
@click.argument("runs", nargs=-1)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; default reports/RUN/exports/TARGET."
)
@click.option(
    "--policy",
    help="Choose anew: best, knee, cheapest_within:0.01, fastest_within:0.01, floor:0.85, or "
    "weights:quality=0.7,price=0.2,latency=0.1.",
)
@click.option("--into", type=click.Path(path_type=Path), help="Eliza: change this character's settings only.")
@click.option("--embedding", metavar="MODEL", help="Eliza: embedding model, where no run studied one.")
@click.option("--max-input-tokens", type=click.IntRange(min=1), help="Eliza 0.x: where input is cut.")
@click.option(
    "--check",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Write nothing: say whether the exports there still hold; 1 when prices, models or data moved.",
)
@click.option("--force", is_flag=True, help="Write over files that are there.")
@click.option("--list", "list_targets", is_flag=True, help="List the targets.")
@click.option("--store", help="Database URL; default HARNESS_STORE, else one under .harness.")
def export(
    target: str | None,
    runs: tuple[str, ...],
    output: Path | None,
    policy: str | None,
    into: Path | None,
    embedding: str | None,
    max_input_tokens: int | None,
    check: Path | None,
    force: bool,
    list_targets: bool,
    store: str | None,
) -> int:
    """Write the recommended settings of RUN for TARGET (json, eliza-1, openai, ...).

    Model classes that RUN did not study are filled in from further runs; one of embedding models may stand
    anywhere among them. A manifest beside the files says
    what becomes of each setting there.
    """
    from harness.outputs.exports.registry import export as write_export
    from harness.past import REPORTS

    if list_targets:
        return _list()
    if check is not None:
        return _check(check, store)
    found = _chosen(target, runs or ("latest",), policy, store)
    selection = _selection(found, into, embedding, max_input_tokens)
    folder = output or REPORTS / selection.choice.run / "exports" / str(target)
    _show(write_export(str(target), selection, folder, force=force))
    return 0


def _list() -> int:
    from harness.outputs.exports.targets import TARGETS

    for name, known in sorted(TARGETS.items()):
        click.echo(f"{name:<15} {known.description}")
    return 0


def _chosen(target: str | None, runs: tuple[str, ...], policy: str | None, store: str | None) -> list[Chosen]:
    from harness.errors import UsageError
    from harness.outputs.exports.targets import TARGETS
    from harness.past import chosen
    from harness.plan.policy import form_of

    if target is None:
        raise UsageError(f"no target given; expected one of {', '.join(sorted(TARGETS))}")
    known = TARGETS.get(target)
    every = known is not None and known.policies
    form = None if policy is None else form_of(policy)
    return [chosen(run, form, store=store, policies=every) for run in runs]


def _selection(
    found: list[Chosen], into: Path | None, embedding: str | None, max_input_tokens: int | None
) -> Selection:
    from harness.outputs.exports.selection import read_character, selection_of

    return selection_of(
        [one.recommendation for one in found],
        labelled=[pair for one in found for pair in one.labelled],
        templates={one.recommendation.run: one.templates for one in found},
        embedding=embedding,
        max_input_tokens=max_input_tokens,
        character=None if into is None else read_character(into),
    )


def _check(folder: Path, store: str | None) -> int:
    """Say of each export in this folder whether it still holds; 1 when one does not."""
    from datetime import UTC, datetime

    from harness.catalogue.models import load_catalogue
    from harness.errors import UsageError
    from harness.outputs.exports.registry import MANIFEST
    from harness.store.health import missing_file

    paths = sorted(folder.rglob(f"*.{MANIFEST}"))
    if not paths:
        raise UsageError(f"{folder} holds no *.{MANIFEST}; name the folder of an export")
    if store is not None and (absent := missing_file(store, {})) is not None:
        raise UsageError(
            f"--store: there is no {absent}, and nothing could be compared with it; name one that is"
        )
    catalogue, today = load_catalogue(), datetime.now(UTC).date()
    held = [_still_holds(path, catalogue, today, store) for path in paths]
    if all(held):
        click.echo("still holds: models, prices and date are as they were")
    return 0 if all(held) else 1


def _still_holds(path: Path, catalogue: Catalogue, today: date, store: str | None) -> bool:
    """Whether the export of this manifest holds; what speaks against it is printed."""
    from typing import cast

    from harness.errors import HarnessError
    from harness.outputs.exports.expiry import moved, own_price_moves
    from harness.outputs.exports.registry import missing_files, read_manifest
    from harness.past import run_now

    manifest = read_manifest(path)
    rests_on = cast("Mapping[str, JsonValue]", manifest["rests_on"])
    data, faults = dict[str, str](), list(missing_files(path.parent, manifest))
    for run in cast("Mapping[str, JsonValue]", rests_on["runs"]):
        try:
            now = run_now(run, store=store)
        except HarnessError as error:
            faults.append(f"the data of run {run} cannot be compared: {error}")
            continue
        faults += own_price_moves(rests_on, now.prices)
        if now.data is None:
            click.echo(f"{path}: note: the data of run {run} is not here, and is not compared")
        else:
            data[run] = now.data
    faults += moved(rests_on, catalogue, today=today, data_sha256=data)
    for fault in faults:
        click.echo(f"{path}: {fault}")
    return not faults


def _show(written: Written) -> None:
    from harness.cli.terminal import columns
    from harness.outputs.exports.manifest import by_design, changed, table

    for line in table(written.export.fates, columns()):
        click.echo(line)
    for remark in written.export.remarks:
        click.echo(f"note: {remark}")
    for path in written.paths:
        click.echo(f"wrote {path}")
    differing = changed(written.export.fates)
    for fate in by_design(differing):
        click.echo(f"note: {fate.setting}: {fate.reason}, so that other words run there than were measured")
    differing = [fate for fate in differing if fate not in by_design(differing)]
    if differing:
        names = ", ".join(dict.fromkeys(fate.setting for fate in differing))
        click.secho(
            f"WARNING: what runs there is not what was measured: {names} (see the reasons above)",
            err=True,
            bold=True,
        )


COMMANDS = (export,)
