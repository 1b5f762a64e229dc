"""Exports as texts to copy from a page: what `harness export` would write, before it is asked.

In: a selection of settings. Out: for each target its files, or why it cannot hold them. Must not write files,
and never shows what an export refuses to write.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.outputs.exports.registry import made_for
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.targets import TARGETS

LONGEST_FILE = 40_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """One file of an export. name: as it is to be called; whole: whether all of it is shown."""

    name: str
    text: str
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExport:
    """What one target gets. command: writes the files. remarks: what to know of them.

    files: empty where refusal says why, and for a target that needs the evidence of the run as well.
    """

    target: str
    description: str
    command: str
    files: tuple[ShownFile, ...] = ()
    remarks: tuple[str, ...] = ()
    refusal: str = ""


def shown_exports(selection: Selection) -> tuple[ShownExport, ...]:
    """Every target, by name."""
    return tuple(_shown(target, selection) for target in sorted(TARGETS))


def _shown(target: str, selection: Selection) -> ShownExport:
    about = TARGETS[target]
    command = f"harness export {target} {selection.choice.run}"
    empty = ShownExport(target=target, description=about.description, command=command)
    if about.policies:  # the choice under every policy is read from the evidence of a run
        return empty
    try:
        made = made_for(target, selection)
    except UsageError as error:
        return ShownExport(target=target, description=about.description, command=command, refusal=str(error))
    files = tuple(
        ShownFile(name=str(name), text=text[:LONGEST_FILE], whole=len(text) <= LONGEST_FILE)
        for name, text in made.files.items()
    )
    return ShownExport(
        target=target,
        description=about.description,
        command=command,
        files=files,
        remarks=tuple(made.remarks),
    )
