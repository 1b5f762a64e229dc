"""Until when an export may be trusted: what it rests on, and what of it has moved since.

In: a selection, or the `rests_on` of a manifest with today's catalogue and data. Out: JSON-like values, and
what has moved in words. Must not read files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import cast

from harness.catalogue.models import Catalogue, Model
from harness.findings import Recommendation
from harness.outputs.exports.selection import Selection
from harness.records import JsonValue

# Providers change models and prices within months; a season later the choice deserves another look.
CONFIRM_AFTER = timedelta(days=90)


def basis(selection: Selection, named: Iterable[str] = ()) -> dict[str, JsonValue]:
    """What an export of this selection rests on: runs with their data, models with prices and ends, a date.

    named: full names of models that its files name though no run chose them.
    """
    catalogue = selection.catalogue
    runs = {choice.run: choice.provenance for choice in _chosen(selection)}
    names = sorted({*_names(selection), *named})
    due = [confirm_by(known.started_at, names, catalogue) for known in runs.values()]
    return {
        "runs": {
            run: {
                "data_sha256": known.data,
                "spec_sha256": known.spec,
                "prices_as_of": known.prices_as_of,
            }
            for run, known in runs.items()
        },
        "confirm_by": min(due).isoformat(),
        "models": {name: _facts(_model(catalogue, name)) for name in names},
    }


def _chosen(selection: Selection) -> tuple[Recommendation, ...]:
    """Every choice that an export of this selection may show."""
    return (selection.choice, *selection.runs, *(choice for _, choice in selection.choices))


def _names(selection: Selection) -> list[str]:
    """The models of all settings that an export of this selection may show, each once."""
    held = list(selection.by_class.values())
    for choice in _chosen(selection):
        held += [choice.settings, *(champion.trial.settings for champion in choice.by_class)]
    return list(dict.fromkeys(settings.model for settings in held))


def confirm_by(measured_at: datetime, models: Iterable[str], catalogue: Catalogue) -> date:
    """When to measure these models again: a season after their run, or when one of them ends."""
    ends = [measured_at.date() + CONFIRM_AFTER]
    for name in models:
        model = _model(catalogue, name)
        if model is not None and model.deprecation_date is not None:
            ends.append(date.fromisoformat(model.deprecation_date))
    return min(ends)


def retired(selection: Selection) -> Iterator[str]:
    """A sentence for each model of the selection that its provider serves no more."""
    for name in _names(selection):
        model = _model(selection.catalogue, name)
        if model is not None and model.retired:
            yield (
                f"{name} is retired (as of {model.as_of}): the target will be refused; measure its successor "
                f"{model.provider}/{model.successor}, and export that."
            )


def moved(
    rests_on: Mapping[str, JsonValue], catalogue: Catalogue, *, today: date, data_sha256: Mapping[str, str]
) -> Iterator[str]:
    """What has moved since the export, one sentence each; nothing when it still holds.

    data_sha256: of the data now, by run; a run whose data could not be read is not there, and not compared.
    """
    models = cast("Mapping[str, Mapping[str, JsonValue] | None]", rests_on.get("models", {}))
    for name, then in models.items():
        yield from _model_moved(name, then, _model(catalogue, name), today)
    for run, known in cast("Mapping[str, Mapping[str, JsonValue]]", rests_on["runs"]).items():
        now, then_sha256 = data_sha256.get(run), known.get("data_sha256")
        if now is not None and now != then_sha256:
            yield f"the data of run {run} has changed: its hash is {now[:12]}, was {str(then_sha256)[:12]}"
    due = date.fromisoformat(str(rests_on["confirm_by"]))
    if today > due:
        yield f"the choice was to be confirmed by {due}, and today is {today}"


def _model_moved(
    name: str, then: Mapping[str, JsonValue] | None, now: Model | None, today: date
) -> Iterator[str]:
    if then is None:  # a model of the spec's own: the catalogue never knew it
        return
    if now is None or now.retired:
        successor = "" if now is None else f"; its successor is {now.provider}/{now.successor}"
        yield f"{name} is retired, or no longer in the catalogue{successor}"
        return
    facts = _facts(now)
    assert facts is not None
    prices, old = facts["prices"], then.get("prices")
    moves = list(_price_moves(prices, old)) if isinstance(prices, dict) and isinstance(old, dict) else []
    if moves:
        yield f"the price of {name}: {', '.join(moves)} (as of {now.as_of})"
    if prices is None and old is not None:
        yield f"the price of {name} is no longer known"
    if facts["deprecation_date"] != then.get("deprecation_date"):
        yield f"{name} now ends on {facts['deprecation_date']}, was {then.get('deprecation_date')}"
    if now.deprecation_date is not None and date.fromisoformat(now.deprecation_date) <= today:
        yield f"{name} has ended on {now.deprecation_date}"


def own_price_moves(
    rests_on: Mapping[str, JsonValue],
    prices: Mapping[str, tuple[Mapping[str, JsonValue] | None, Mapping[str, JsonValue] | None]],
) -> Iterator[str]:
    """A sentence for each model of the export of which a spec says another price than when it was measured.

    prices: what the spec said then and says now, by model, where these differ; `None`: nothing.
    """
    for name in cast("Mapping[str, JsonValue]", rests_on["models"]):
        if name in prices:
            then, now = prices[name]
            yield f"the spec's price of {name}: {_stated(now)}, was {_stated(then)}"


def _stated(prices: Mapping[str, JsonValue] | None) -> str:
    return "none" if prices is None else ", ".join(f"{name} {value}" for name, value in prices.items())


def _price_moves(now: Mapping[str, JsonValue], then: Mapping[str, JsonValue]) -> Iterator[str]:
    """Each price that was written down then and is another now; in US dollars for a million tokens.

    One of `None` was written down too: there was none of its own.
    """
    for name, value in now.items():
        if name not in then:
            continue
        old, words = then[name], name.replace("_", " ")
        if isinstance(value, dict) and isinstance(old, dict):
            yield from (f"{words} {move}" for move in _price_moves(value, old))
        elif isinstance(value, dict) or isinstance(old, dict):
            yield f"{words} prices are {'gone' if value is None else 'new'}"
        elif name == "above_tokens" and value != old:
            yield f"from {value} tokens on, was {old}"
        elif value != old:
            shown = "no longer known" if value is None else f"${value:g} per million"
            yield f"{words} {shown}, was {'none of its own' if old is None else f'${old:g}'}"


def _model(catalogue: Catalogue, name: str) -> Model | None:
    return next((model for model in catalogue.models if model.full_name == name), None)


def _facts(model: Model | None) -> dict[str, JsonValue] | None:
    if model is None:
        return None
    return {
        "prices": None if model.prices is None else cast("JsonValue", asdict(model.prices)),
        "deprecation_date": model.deprecation_date,
    }
