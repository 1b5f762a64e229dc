"""A comparison in words: as text, Markdown, a card and JSON.

In: a comparison. Out: text in its final wording. Must not compute a figure or decide anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from harness.outputs import numbers
from harness.outputs.pages import render
from harness.plan.given import settings_form
from harness.plan.resolution import points
from harness.records import JsonValue
from harness.verdicts import Comparison, Flip, Shift, Side, Versus

MOST_FLIPS = 20  # shown to people; JSON has them all
DIGEST = 7  # characters of a sha256 that tell two texts apart for people
NAMES = {
    "usd_per_1k_calls": "price per 1,000 calls",
    "latency_p50_s": "latency p50",
    "latency_p95_s": "latency p95",
    "failure_rate": "failed calls",
    "unscored_rate": "unscored answers",
    "truncation_rate": "truncated answers",
}
VERDICTS = {
    "better": "Better",
    "same": "Not worse",
    "worse": "Worse",
    "unclear": "Unclear",
}
TONES = {"better": "good", "same": "good", "worse": "bad", "unclear": "open"}
TASK_HEAD = ("task", "weight", "samples", "difference")
METRIC_HEAD = ("metric", "base", "new", "difference", "tolerance", "samples", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonData:
    """Everything that is shown, as strings. flips_caption: how many moved, and which way.

    tone: of the verdict, "good", "bad" or "open".
    tasks: where there are several. changes: of settings and prompt, base to new.
    """

    base: str
    new: str
    changes: str
    headline: str
    tone: str
    metric_head: tuple[str, ...]
    metrics: tuple[tuple[str, ...], ...]
    figures: tuple[tuple[str, ...], ...]
    flips: tuple[tuple[str, ...], ...]
    flips_caption: str
    slices: tuple[tuple[str, ...], ...]
    task_head: tuple[str, ...]
    tasks: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def comparison_data(it: Comparison) -> ComparisonData:
    """The whole comparison in words."""
    return ComparisonData(
        base=_named(it.base),
        new=_named(it.new),
        changes=_changes(it.base, it.new),
        headline=f"{VERDICTS[it.verdict]}. {it.reason}",
        tone=TONES[it.verdict],
        metric_head=METRIC_HEAD,
        metrics=tuple(_metric(one) for one in it.metrics),
        figures=tuple(_figures(it)),
        flips=tuple((one.sample_id, _score(one.base), _score(one.new)) for one in shown_flips(it)),
        flips_caption=_flips_caption(it),
        slices=tuple(
            (
                f"{one.field}: {numbers.ends(one.value)}",
                numbers.count(one.n_pairs),
                numbers.difference(one.difference),
            )
            for one in it.slices
        ),
        task_head=TASK_HEAD,
        tasks=tuple(
            (
                one.name,
                numbers.share(one.weight),
                numbers.count(one.n_pairs),
                numbers.difference(one.difference),
            )
            for one in it.tasks
        ),
        notes=it.notes,
    )


def text(it: Comparison) -> str:
    """The comparison as plain lines."""
    data = comparison_data(it)
    lines = [data.headline, f"  base: {data.base}", f"  new:  {data.new}", f"Changed: {data.changes}"]
    lines += [
        f"  {name}: {base} to {new}, {difference} on {n} samples, tolerance {tolerance}: {verdict}"
        for name, base, new, difference, tolerance, n, verdict in data.metrics
    ]
    lines += [
        f"  {name}: {base} to {new}{f' ({change})' if change else ''}"
        for name, base, new, change in data.figures
    ]
    lines += [f"  task {line}" for line in task_lines(data)]
    if data.slices:
        lines += ["By slice"]
        lines += [f"  {name}: {difference}, n={n}" for name, n, difference in data.slices]
    if data.flips:
        lines += [data.flips_caption]
        lines += [f"  {sample}: {base} to {new}" for sample, base, new in data.flips]
    return "\n".join((*lines, *(f"Note: {note}" for note in data.notes)))


def task_lines(data: ComparisonData) -> list[str]:
    """Each of several tasks with its weight and how it moved."""
    return [f"{name} ({weight}): {difference}, n={n}" for name, weight, n, difference in data.tasks]


def markdown(it: Comparison) -> str:
    """The comparison as Markdown, for a pull request; ends with a line break."""
    return render("comparison.md.jinja", it=comparison_data(it))


def card(it: Comparison) -> str:
    """The comparison as HTML for `_repr_html_`: no script, readable on light and dark pages."""
    return render("comparison_card.html.jinja", it=comparison_data(it), clip=numbers.clipped)


def document(it: Comparison) -> dict[str, JsonValue]:
    """The comparison as one JSON-like object, without the scores of samples that did not move."""
    known = asdict(it)
    return {
        "format": "harness comparison",
        "format_version": 1,
        "verdict": it.verdict,
        "reason": it.reason,
        "base": _side_document(it.base),
        "new": _side_document(it.new),
        **{
            name: known[name]
            for name in ("level", "identical", "metrics", "tasks", "slices", "price", "latency")
        },
        "flips": known["flips"],
        "notes": known["notes"],
    }


def json_text(it: Comparison) -> str:
    """`document` as JSON text; ends with a line break."""
    return json.dumps(document(it), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def shown_flips(it: Comparison) -> list[Flip]:
    """The flips that people are shown: half of them the worst drops, the rest the largest gains."""
    drops = [flip for flip in it.flips if flip.new < flip.base]
    gains = [flip for flip in reversed(it.flips) if flip.new > flip.base]
    half = MOST_FLIPS // 2
    kept = drops[: MOST_FLIPS - min(half, len(gains))]
    return [*kept, *gains[: MOST_FLIPS - len(kept)]]


def _side_document(side: Side) -> dict[str, JsonValue]:
    return {
        "name": side.name,
        "experiment": side.experiment,
        "split": side.sheet.split,
        "samples": len(side.sheet.samples),
        "settings": settings_form(side.settings),
        "prompt_sha256": side.sheet.basis.prompt,
        "figures": dict(side.figures),
    }


def _named(side: Side) -> str:
    return f"{side.name} ({numbers.settings_line(side.settings)})"


def _changes(base: Side, new: Side) -> str:
    """What is asked otherwise: a text of a prompt may change where its name stays, and no name shows it."""
    before, after = (dict(numbers.setting_lines(side.settings)) for side in (base, new))
    found = [
        f"{name} {before.get(name, 'not set')} to {after.get(name, 'not set')}"
        for name in dict.fromkeys((*before, *after))
        if before.get(name) != after.get(name)
    ]
    old, now = base.sheet.basis.prompt, new.sheet.basis.prompt
    if base.settings.prompt == new.settings.prompt and old != now:
        found.append(f"the text of prompt {new.settings.prompt} ({old[:DIGEST]} to {now[:DIGEST]})")
    return "; ".join(found) or "nothing in settings and prompt"


def _metric(one: Versus) -> tuple[str, ...]:
    return (
        one.metric,
        _score(one.base),
        _score(one.new),
        numbers.difference(one.difference),
        points(one.tolerance),
        numbers.count(one.difference.n),
        VERDICTS[one.verdict].lower(),
    )


def _figures(it: Comparison) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, label in NAMES.items():
        values = [side.figures.get(name) for side in (it.base, it.new)]
        if values == [None, None] or (name.endswith("_rate") and not any(values)):
            continue
        found.append((label, *(_figure(name, value) for value in values), _change(it, name)))
    return found


def _figure(name: str, value: float | None) -> str:
    if name == "usd_per_1k_calls":
        return numbers.price(value)
    return numbers.seconds(value) if name.endswith("_s") else numbers.share(value)


def _change(it: Comparison, name: str) -> str:
    if name == "usd_per_1k_calls" and it.price is not None and it.price.change.high != it.price.change.low:
        change = it.price.change
        low, high = numbers.money(change.low), numbers.money(change.high)
        return f"{_plus(change.value)}{numbers.money(change.value)} [{low}, {high}]"
    if name == "latency_p50_s" and it.latency is not None:
        return _factor(it.latency)
    return ""


def _factor(shift: Shift) -> str:
    change = shift.change
    return f"{change.value:.2f} times as long [{change.low:.2f}, {change.high:.2f}]"


def _flips_caption(it: Comparison) -> str:
    drops = sum(flip.new < flip.base for flip in it.flips)
    shown = len(shown_flips(it))
    part = f", {shown} of them here" if shown < len(it.flips) else ""
    return (
        f"{numbers.counted(drops, 'sample')} dropped and {numbers.count(len(it.flips) - drops)} gained "
        f"in {it.quality.metric}{part}"
    )


def _score(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") if value in (0, 1) else f"{value:.3f}"


def _plus(value: float) -> str:
    return "+" if value > 0 else ""
