"""All recommendations of one or several runs: a use case, a policy and a model class each, with evidence.

The JSON Schema of the file is published beside this module and written beside each export.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from harness.findings import Recommendation, Trial
from harness.outputs.exports.document import fates
from harness.outputs.exports.expiry import confirm_by
from harness.outputs.exports.manifest import Export
from harness.outputs.exports.selection import PolicyLabel, Selection, named_by
from harness.records import Estimate, ModelClass, Settings, Split
from harness.store.codec import encode, json_schema

DESCRIPTION = (
    "every use case, policy (best, value, fast) and model class with its evidence, and a JSON Schema"
)
FILE, SCHEMA = "recommendation.json", "recommendation.schema.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """The settings for one use case under one policy for one model class.

    use_case: the experiment that asked. policy: "best", "value" (the cheapest within a point of the best),
    "fast" (the fastest within a point), or "own", that of the spec; rule says it in full. model_class: `null`
    where the model has none. recommended: these are the settings that the policy chooses among all classes.
    api_base: where the model was asked; `null`: where its provider's own package asks. split: "confirm" where
    the quality does not flatter. Prices in US dollars at list price, latency in seconds; `null`: unknown.
    ties: trials that cannot be told apart. deprecation_date: announced end of the model. confirm_by: date
    after which to measure again.
    """

    use_case: str
    policy: PolicyLabel
    rule: str
    model_class: ModelClass | None
    recommended: bool
    settings: Settings
    api_base: str | None
    trial: int
    split: Split
    quality: Estimate | None
    samples: int
    usd_per_1k_calls: float | None
    latency_p50_s: float | None
    latency_p95_s: float | None
    ties: tuple[int, ...]
    reason: str
    run: str
    data_sha256: str
    spec_sha256: str
    prices_as_of: str
    deprecation_date: str | None
    confirm_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationSet:
    """What to run where: one pick for each use case, policy and model class that was studied.

    prompts: templates of the picks' prompts, by run and variant; those of documents by `document/VARIANT`, of
    several tasks by `TASK/VARIANT`.
    """

    format: Literal["harness recommendations"]
    format_version: Literal[1]
    picks: tuple[Pick, ...]
    prompts: Mapping[str, Mapping[str, str]]


def write(selection: Selection) -> Export:
    """Two files: recommendation.json and the schema that it keeps."""
    held = json.loads(encode(recommendation_set(selection)))
    text = json.dumps({"$schema": SCHEMA, **held}, indent=2, ensure_ascii=False, allow_nan=False)
    return Export(
        files={FILE: text + "\n", SCHEMA: published_schema()}, fates=fates(selection, "picks.api_base")
    )


def recommendation_set(selection: Selection) -> RecommendationSet:
    """Every recommendation of the selection, class by class, the chosen one of each first."""
    chosen = selection.choices or (("own", selection.choice),)
    picks = [pick for label, choice in chosen for pick in _picks(selection, label, choice)]
    prompts = {run: dict[str, str]() for run in dict.fromkeys(pick.run for pick in picks)}
    for pick in picks:
        prompts[pick.run] |= named_by(pick.settings.prompt, selection.templates.get(pick.run, {}))
    return RecommendationSet(
        format="harness recommendations", format_version=1, picks=tuple(picks), prompts=prompts
    )


def schema_text() -> str:
    """The JSON Schema of recommendation.json, as it is to be published."""
    schema = json_schema(RecommendationSet)
    properties = schema["properties"] | {"$schema": {"type": "string"}}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(head | schema | {"properties": properties}, indent=2, ensure_ascii=False) + "\n"


def published_schema() -> str:
    """The schema as it ships with the package."""
    return resources.files("harness.outputs.exports").joinpath(SCHEMA).read_text(encoding="utf-8")


def _picks(selection: Selection, label: PolicyLabel, choice: Recommendation) -> Iterator[Pick]:
    yield _pick(selection, label, choice, choice.trial, recommended=True)
    for champion in choice.by_class:
        if champion.model_class != choice.trial.model_class:
            yield _pick(selection, label, choice, champion.trial, recommended=False)


def _pick(
    selection: Selection, label: PolicyLabel, choice: Recommendation, trial: Trial, *, recommended: bool
) -> Pick:
    settings = choice.settings if recommended else trial.settings
    model = selection.known(settings)
    known = choice.provenance
    asked = known.endpoints.get(settings.provider)
    return Pick(
        use_case=choice.experiment,
        policy=label,
        rule=choice.policy,
        model_class=trial.model_class,
        recommended=recommended,
        settings=settings,
        api_base=None if asked is None else asked.api_base,
        trial=trial.number,
        split=trial.split,
        quality=trial.quality,
        samples=trial.samples,
        usd_per_1k_calls=trial.usd_per_1k_calls,
        latency_p50_s=trial.latency_p50_s,
        latency_p95_s=trial.latency_p95_s,
        ties=choice.ties if recommended else (),
        reason=choice.reason if recommended else f"the best of its class; {choice.reason}",
        run=choice.run,
        data_sha256=known.data,
        spec_sha256=known.spec,
        prices_as_of=known.prices_as_of,
        deprecation_date=None if model is None else model.deprecation_date,
        confirm_by=confirm_by(known.started_at, [settings.model], selection.catalogue).isoformat(),
    )
