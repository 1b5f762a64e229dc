"""Baselines: the scores of settings that were once found good, in a file for the repository.

In: one side of a comparison. Out: JSON that diffs well, one line a sample; and the same read back. The JSON
Schema is published beside this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal, cast

from harness.errors import UsageError
from harness.outputs.files import write_text
from harness.plan.given import settings_form
from harness.records import JsonValue, Settings, Split
from harness.sheets import Basis, Sheet
from harness.store.codec import decode, json_schema
from harness.verdicts import Side

FORMAT = "harness baseline"
SCHEMA = "baseline.schema.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A baseline as its file holds it.

    metric: name of the quality. figures: price, latency and rates by name. basis: what the scores rest on, by
    which a baseline is found to be stale. columns: what the numbers of a sample are, the quality first.
    groups: cluster of samples that belong together. scores: by sample, from 0 to 1, `null` where there is
    none. weights: share of the quality by task, where there are several.
    """

    format: Literal["harness baseline"]
    format_version: Literal[1]
    experiment: str
    run: str
    metric: str
    split: Split
    settings: Settings
    figures: Mapping[str, float]
    basis: Basis
    columns: tuple[str, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    groups: Mapping[str, str] = field(default_factory=dict[str, str])
    weights: Mapping[str, float] = field(default_factory=dict[str, float])


def text(side: Side) -> str:
    """The baseline of this side as JSON text: in a fixed order, samples by id; ends with a line break."""
    sheet = side.sheet
    head: dict[str, JsonValue] = {
        "format": FORMAT,
        "format_version": 1,
        "experiment": side.experiment,
        "run": side.name,
        "metric": side.metric,
        "split": sheet.split,
        "settings": settings_form(sheet.settings),
        "figures": dict(sorted(side.figures.items())),
        "basis": cast("dict[str, JsonValue]", asdict(sheet.basis)),
        "columns": list(sheet.scores),
        **({"weights": dict(sheet.weights)} if sheet.weights else {}),
    }
    rows = dict(zip(sheet.samples, zip(*sheet.scores.values(), strict=True), strict=True))
    lines = [f"    {_json(name)}: {_json([_plain(value) for value in rows[name]])}" for name in sorted(rows)]
    groups = {
        name: group
        for name, group in zip(sheet.samples, sheet.groups or (), strict=False)
        if group is not None
    }
    opening = json.dumps(head, indent=2, ensure_ascii=False, allow_nan=False).removesuffix("\n}")
    listed = [f"    {_json(name)}: {_json(groups[name])}" for name in sorted(groups)]
    grouped = ',\n  "groups": {\n' + ",\n".join(listed) + "\n  }" if listed else ""
    return f'{opening}{grouped},\n  "scores": {{\n' + ",\n".join(lines) + "\n  }\n}\n"


def write(side: Side, path: Path) -> Path:
    """Write the baseline of this side. Raises UsageError when the system refuses."""
    return write_text(path, text(side))


def read(path: Path) -> Side:
    """The baseline in this file. Raises UsageError when there is none, or it is no baseline."""
    try:
        found = decode(Baseline, path.read_text(encoding="utf-8"), file=str(path))
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(
            f"the baseline {str(path)!r} cannot be read ({why}); `harness gate SPEC --baseline {path} "
            "--update-baseline` measures and writes one"
        ) from None
    names = sorted(found.scores)
    fault = _fault(found, names)
    if fault:
        raise UsageError(f"{path}: {fault}; write it again with --update-baseline")
    return _side(found, names)


def _fault(found: Baseline, names: list[str]) -> str:
    """The first fault of its numbers, and what was expected; "" without one."""
    expected = f"expected scores of {', '.join(found.columns) or 'at least one column'} for each sample"
    if not found.columns or not names:
        return f"it holds no scores; {expected}"
    for name in names:
        if len(found.scores[name]) != len(found.columns):
            return f"sample {name!r} has not one for each; {expected}"
        for column, score in zip(found.columns, found.scores[name], strict=True):
            if score is not None and not 0 <= score <= 1:
                found_one = f"sample {name!r} has a score of {score:g} in {column}"
                return f"{found_one}; expected a number from 0 to 1, or null"
    for name, weight in found.weights.items():
        if not 0 < weight <= 1:
            return f"task {name!r} has a weight of {weight:g}; expected a number above 0, up to 1"
    return ""


def _side(found: Baseline, names: list[str]) -> Side:
    nothing = (None,) * len(names)
    sheet = Sheet(
        trial=0,
        settings=found.settings,
        split=found.split,
        samples=tuple(names),
        scores={
            column: tuple(found.scores[name][place] for name in names)
            for place, column in enumerate(found.columns)
        },
        usd=nothing,
        latency_s=nothing,
        basis=found.basis,
        groups=tuple(found.groups.get(name) for name in names) if found.groups else (),
        weights=found.weights,
    )
    return Side(
        name=found.run,
        experiment=found.experiment,
        metric=found.metric,
        sheet=sheet,
        figures=found.figures,
    )


def schema_text() -> str:
    """The JSON Schema of a baseline file, as it is to be published."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | json_schema(Baseline), indent=2, ensure_ascii=False) + "\n"


def published_schema() -> str:
    """The schema as it ships with the package."""
    return resources.files("harness.outputs").joinpath(SCHEMA).read_text(encoding="utf-8")


def is_baseline(path: Path) -> bool:
    """Whether this file says of itself that it is a baseline."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and cast("dict[str, object]", found).get("format") == FORMAT


def _plain(value: float | None) -> float | int | None:
    """The number as short as it can be written: 1 for 1.0."""
    return int(value) if value is not None and value == int(value) else value


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
