"""The recommendation as plain values: what the call needs, what it rests on, and when to look again.

In: a recommendation, and the template of its prompt. Out: JSON-like values in a stable order, shared by the
JSON and YAML exports. What was not set or not measured is absent; zero is a value and stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from harness.findings import Champion, PairedDifference, Provenance, Recommendation, Separation, Trial
from harness.outputs.exports.manifest import Fate, address_fate, plain_fates
from harness.outputs.exports.selection import Selection
from harness.records import SENT_FIELDS, Bounds, Estimate, JsonValue

FORMAT_VERSION = 1


def document(selection: Selection) -> dict[str, JsonValue]:
    """Settings, prompt, evidence and provenance of the choice as one JSON-like object.

    Where no template of the prompt is known, only the name of the variant is given; of several tasks, each
    has its template under `prompt.tasks`.
    """
    choice, settings, documents = selection.choice, selection.settings, selection.document_text
    return {
        "format": "harness settings",
        "format_version": FORMAT_VERSION,
        "experiment": choice.experiment,
        "run": choice.run,
        "model": {"provider": settings.provider, "name": settings.model_name}
        | _present({"class": choice.trial.model_class, **_reached(choice)}),
        "prompt": _prompt(selection),
        **({} if documents is None else {"document": {"variant": settings.prompt, **_template(documents)}}),
        "parameters": settings.sent(),
        **({"local": dict(settings.local)} if settings.local else {}),
        "evidence": _evidence(choice),
        "provenance": provenance(choice.provenance),
    }


def fates(selection: Selection, address: str = "model.api_base") -> tuple[Fate, ...]:
    """Every setting arrives, under its own name. address: where that of the provider stands."""
    settings = selection.settings
    keys = {"model": "model"} | {name: f"parameters.{name}" for name in (*SENT_FIELDS, *settings.extra)}
    keys |= {name: f"local.{name}" for name in settings.local}
    own = selection.address(settings.provider)
    return (*plain_fates(settings, keys), *([] if own is None else [address_fate(own, address)]))


def _reached(choice: Recommendation) -> dict[str, JsonValue]:
    """Where the model was asked, and the environment variable of the key."""
    asked = choice.provenance.endpoints.get(choice.settings.provider)
    return {} if asked is None else {"api_base": asked.api_base, "api_key_env": asked.api_key_env}


def _prompt(selection: Selection) -> dict[str, JsonValue]:
    """The template as it was measured, or that of each task.

    Jinja2, in which `system:`, `user:` or `assistant:` alone on a line starts a message; text before the
    first such line is a user message.
    """
    found: dict[str, JsonValue] = {"variant": selection.settings.prompt}
    if selection.prompt_text is not None:
        found |= _template(selection.prompt_text)
    elif selection.task_templates:
        found["tasks"] = {name: _template(text) for name, text in selection.task_templates.items()}
    return found


def _template(text: str) -> dict[str, JsonValue]:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {"template": text, "sha256": digest}


def _evidence(choice: Recommendation) -> dict[str, JsonValue]:
    return _present(
        {
            "policy": choice.policy,
            "reason": choice.reason,
            "trial": choice.trial.number,
            "confirm": figures(choice.trial),
            "search": figures(choice.search_trial),
            "ties": list(choice.ties),
            "versus_default": _versus(choice.versus_default),
            "versus_runner_up": _versus(choice.versus_runner_up),
            "certainty": choice.certainty or None,
            "separations": [_separation(one) for one in choice.separations],
            "by_class": {champion.model_class: _champion(champion) for champion in choice.by_class},
            "pareto": [{"against": list(one.against), **_alternative(one.trial)} for one in choice.pareto],
            "caveats": list(choice.caveats),
        }
    )


def _champion(champion: Champion) -> dict[str, JsonValue]:
    said = {"choice_minus_this": _versus(champion.versus), "note": champion.note or None}
    return _alternative(champion.trial) | _present(said)


def _alternative(trial: Trial) -> dict[str, JsonValue]:
    settings = trial.settings
    return {
        "trial": trial.number,
        "split": trial.split,
        "model": settings.model,
        "prompt": settings.prompt,
        "parameters": settings.sent(),
        **({"local": dict(settings.local)} if settings.local else {}),
        "figures": figures(trial),
    }


def _separation(one: Separation) -> dict[str, JsonValue]:
    return _present(
        {
            "trial": one.other,
            "difference": one.difference,
            "power": one.power,
            "confirm_samples": one.samples,
            "more_samples": one.more,
            "usd": one.usd,
        }
    )


def figures(trial: Trial) -> dict[str, JsonValue]:
    """What was measured of these settings, known figures only."""
    return _present(
        {
            "quality": _estimate(trial.quality),
            "by_task": {name: _estimate(found) for name, found in trial.by_task.items()} or None,
            "samples": trial.samples,
            "usd_per_1k_calls": trial.usd_per_1k_calls,
            "latency_p50_s": trial.latency_p50_s,
            "latency_p95_s": trial.latency_p95_s,
            "first_token_p50_s": trial.first_token_p50_s,
            "failure_rate": trial.failure_rate,
            "unscored_rate": trial.unscored_rate,
            "truncation_rate": trial.truncation_rate,
            "input_truncation_rate": trial.input_truncation_rate,
            "bounds": {name: _bounds(bounds) for name, bounds in trial.bounds.items()} or None,
        }
    )


def _bounds(bounds: Bounds) -> dict[str, JsonValue]:
    return _present(
        {
            "low": bounds.low,
            "high": bounds.high,
            "level": bounds.level,
            "n": bounds.n,
            "method": bounds.method,
        }
    )


def _estimate(estimate: Estimate | None) -> dict[str, JsonValue] | None:
    if estimate is None:
        return None
    return {
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "level": estimate.level,
        "n": estimate.n,
        "clusters": estimate.clusters,
        "method": estimate.method,
    }


def _versus(pair: PairedDifference | None) -> dict[str, JsonValue] | None:
    return None if pair is None else {"trial": pair.other, "difference": _estimate(pair.difference)}


def provenance(known: Provenance) -> dict[str, JsonValue]:
    """What the result rests on."""
    return _present(
        {
            "spec_sha256": known.spec,
            "plan_sha256": known.plan,
            "data_sha256": known.data,
            "catalogue_sha256": known.catalogue,
            "prices_as_of": known.prices_as_of,
            "seed": known.seed,
            "versions": dict(sorted(known.versions.items())),
            "git_commit": known.git_commit,
            "started_at": known.started_at.isoformat(),
        }
    )


def _present(values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {name: value for name, value in values.items() if value is not None}
