"""The verb `doctor`: whether everything is here that a run needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.calls.trial_call import TrialCall
    from harness.doctor import Checkup, ModelHealth, ProviderHealth

MISSING = 2


@click.command()
@click.argument("spec", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--store", help="Database URL; default HARNESS_STORE, else one under .harness.")
@click.option(
    "--live", is_flag=True, help="Send one smallest call to every model of which nothing is missing."
)
def doctor(spec: Path | None, *, as_json: bool, store: str | None, live: bool) -> int:
    """Check what is needed to run SPEC: store, keys, weights, prices.

    Without SPEC it shows the providers of the catalogue, none of which is needed. Nothing is sent without
    --live, which says what differs from the catalogue, and no key is ever shown. Ends with 2 when something
    is missing.
    """
    from dataclasses import asdict
    from datetime import UTC, datetime

    from harness.doctor import examine
    from harness.environment import environment

    found = examine(spec, store=store, environ=environment(), today=datetime.now(UTC).date(), live=live)
    if as_json:
        click.echo(json.dumps({"ok": not found.missing, **asdict(found)}, indent=2))
    else:
        for name, text in _lines(found):
            click.echo(f"{name:<11} {text}".rstrip())
    return MISSING if found.missing else 0


def _lines(found: Checkup) -> Iterator[tuple[str, str]]:
    ours = found.versions.get("llm-harness", "not installed")
    libraries = [f"{name} {number}" for name, number in found.versions.items() if name != "llm-harness"]
    yield "harness", f"{ours}, Python {found.python}"
    yield "libraries", ", ".join(libraries)
    yield "store", _store(found)
    yield (
        "mlflow",
        f"{found.mlflow}{'' if found.mlflow_named else ' (our own: MLFLOW_TRACKING_URI is not set)'}",
    )
    if found.spec is not None:
        yield "spec", f"{found.spec}{'' if found.providers else ': cannot be planned, see below'}"
    for provider in found.providers:
        yield provider.name, _provider(provider)
        for text in _models(provider, briefly=found.spec is None):
            yield "", text
    for one in found.live:
        yield "live", _asked(one)
    for one in found.unasked:
        yield "live", one
    for note in found.notes:
        yield "note", note
    for lack in found.missing:
        yield "missing", lack
    if not found.missing:
        yield _verdict(found)


def _verdict(found: Checkup) -> tuple[str, str]:
    unseen = [provider.name for provider in found.providers if provider.unseen]
    if not found.spec:
        return "ready", "give a spec to check what it needs"
    if unseen and not found.live:
        return (
            "unsure",
            f"nothing is known to be missing, but no credentials of {', '.join(unseen)} were seen",
        )
    return "ready", "all that is needed is here"


def _asked(one: TrialCall) -> str:
    if one.fault:
        return f"{one.model}: could not be asked, see below"
    bill = "price unknown" if one.usd is None else f"{one.usd:.6f} USD"
    return f"{one.model}: {'; '.join(one.differs) or 'as the catalogue says'} ({bill})"


def _store(found: Checkup) -> str:
    store = found.store
    if store.problem:
        return "cannot be used, see below"
    if not store.exists:
        return f"{store.address}: not there yet, can be made (schema version {store.version})"
    return f"{store.address}: sound, can be written, schema version {store.version}"


def _provider(provider: ProviderHealth) -> str:
    where = f"{provider.lane} at {provider.address}" if provider.address else provider.lane
    if provider.proxied:
        where += " through the proxy of this environment"
    if provider.key_env is None:
        key = "no credentials seen" if provider.unseen else "no key"
    else:
        key = f"{provider.key_env} is {'set' if provider.key_set else 'not set'}"
    streamed = "; answers are streamed" if provider.stream else ""
    return f"{where}, because {provider.why}; {key}{streamed}"


def _models(provider: ProviderHealth, *, briefly: bool) -> list[str]:
    """A line a model; briefly: models alike in one line."""
    if not briefly:
        return [f"{model.name} ({model.model_class}): {_facts(model)}" for model in provider.models]
    alike = Counter(_facts(model) for model in provider.models)
    return [f"{count} model{'' if count == 1 else 's'}: {facts}" for facts, count in alike.items()]


def _facts(model: ModelHealth) -> str:
    facts: list[str] = []
    if model.price_age_days is not None:
        days = model.price_age_days
        facts.append(f"prices of {model.prices}, {days} day{'' if days == 1 else 's'} old")
    else:
        facts.append(model.prices if model.prices == "free" else f"prices {model.prices}")
    if model.weights_name is not None:
        facts.append(f"weights in {model.weights}" if model.weights else "weights not here")
    if model.ends is not None:
        facts.append(f"ends on {model.ends}")
    return ", ".join(facts)


COMMANDS = (doctor,)
