"""The plan: the question of a spec with everything looked up and nothing left to decide.

In: what `planner.make_plan` found. Out: records that calls, trials and outputs read. This file
opens nothing and decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, TypeAlias, cast

from harness.catalogue.models import Model
from harness.fingerprint import fingerprint
from harness.plan.conditions import When
from harness.plan.gate_spec import Gate
from harness.plan.policy import Policy
from harness.plan.problems import written
from harness.plan.task import Task, asked_of
from harness.records import SENT_FIELDS, Endpoint, JsonValue, Settings, Split, Verb

Failures = Literal["count_as_wrong", "leave_out"]
Mode = Literal["budget", "confidence"]


@dataclass(frozen=True, slots=True)
class Range:
    """A setting searched between two numbers, both ends included.

    integer: whole numbers only. log: searched on a logarithmic scale; low is then above 0.
    step: distance between values, counted from low; `None`: any value. when: another dimension, and its
    values beside which this one is there; `None`: always.
    """

    name: str
    low: float
    high: float
    integer: bool = False
    log: bool = False
    step: float | None = None
    when: When | None = None

    @property
    def distinct(self) -> int | None:
        """How many values there are; `None` when they cannot be counted."""
        step = self.step if self.step is not None else (1 if self.integer else None)
        if self.low == self.high:
            return 1
        if step is None:
            return None
        # The tolerance keeps 0.0 to 0.3 in steps of 0.1 at four values in binary floating point.
        return math.floor((self.high - self.low) / step + 1e-9) + 1

    def holds(self, value: object) -> bool:
        """Whether this is a value that the search may try, on its step where there is one."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not self.low <= value <= self.high or (self.integer and value != int(value)):
            return False
        places = 0.0 if self.step is None else (value - self.low) / self.step
        return abs(places - round(places)) < 1e-9


@dataclass(frozen=True, slots=True)
class Choices:
    """A setting searched among the values listed; a single one is a fixed setting. when: as of `Range`."""

    name: str
    values: tuple[JsonValue, ...]
    when: When | None = None

    @property
    def distinct(self) -> int:
        """How many values there are."""
        return len(self.values)

    def holds(self, value: object) -> bool:
        """Whether this is one of the values; a list and a tuple of the same are."""
        plain = list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value
        return plain in self.values


Dimension: TypeAlias = Range | Choices
_OR = " or "  # no setting has blanks in its name


def either(names: Sequence[str]) -> Choices:
    """The choice which one of these settings is sent, as in "temperature or top_p".

    It is not sent itself: each of the settings is there beside its own name alone.
    """
    return Choices(_OR.join(names), tuple(names))


def rivals_of(dimension: str) -> tuple[str, ...]:
    """The settings between which a dimension of this name decides; empty for a setting's own dimension."""
    names = tuple(dimension.split(_OR))
    return names if len(names) > 1 and all(name in SENT_FIELDS for name in names) else ()


def applies(dimension: Dimension, beside: Mapping[str, object]) -> bool:
    """Whether the dimension is there beside these values of others."""
    return dimension.when is None or beside.get(dimension.when[0]) in dimension.when[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """All settings that may be tried.

    dimensions: by model, only what the spec asked for; fixed values are `Choices` of one, and what is there
    beside some values of another dimension alone comes after it.
    defaults: by model, the untuned starting point inside the space, with the first prompt variant.
    warm: settings of the space that are tried early, besides the defaults: see `search.warm_start`.
    presets: settings by the name of their preset, which are measured in any case.
    """

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    dimensions: Mapping[str, tuple[Dimension, ...]]
    defaults: Mapping[str, Settings]
    warm: tuple[Settings, ...] = ()
    presets: Mapping[str, tuple[Settings, ...]] = field(default_factory=dict[str, "tuple[Settings, ...]"])

    @property
    def fixed(self) -> tuple[Settings, ...]:
        """What is measured in any case, in order: the untuned default, then presets."""
        found = [self.defaults[self.models[0]]]
        for settings in (one for some in self.presets.values() for one in some):
            found += [] if settings in found else [settings]
        return tuple(found)

    def named(self, settings: Mapping[int, Settings]) -> dict[int, str]:
        """The presets that these settings are, by number; only of those that are any."""
        names = {
            number: ", ".join(name for name, some in self.presets.items() if one in some)
            for number, one in settings.items()
        }
        return {number: name for number, name in names.items() if name}

    @property
    def distinct(self) -> int | None:
        """How many different settings the space holds; `None` when they cannot be counted."""
        total = 0
        for model in self.models:
            of_model = _combinations(self.dimensions[model])
            if of_model is None:
                return None
            total += len(self.prompts) * of_model
        return total


def _combinations(dimensions: Sequence[Dimension]) -> int | None:
    """How many different settings these dimensions make; `None` when they cannot be counted."""
    if any(dimension.distinct is None for dimension in dimensions):
        return None
    total = 1
    for dimension in dimensions:
        below = [one for one in dimensions if one.when is not None and one.when[0] == dimension.name]
        if dimension.when is not None:
            continue
        if not below or isinstance(dimension, Range):
            total *= dimension.distinct or 0
            continue
        total *= sum(
            math.prod(one.distinct or 0 for one in below if applies(one, {dimension.name: value}))
            for value in dimension.values
        )
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """Who proposes the next settings, decided.

    name: a word of the spec, or a class of `optuna.samplers`; with a dot, the class of an object that was
    given in Python. arguments: for the class; of an object, what can be told of it. front: whether there
    are two objectives, quality up and price down. given: the object itself, `None` without one.
    """

    name: str = "auto"
    arguments: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    front: bool = False
    given: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What makes settings good. limits: upper bounds by figure name, as in `usd_per_1k_calls`.

    assumed: bounds that hold for the measured figure although nobody wrote them. confirm: share of samples
    kept for the confirm split. confidence: of intervals, limits and races.
    indifference: quality behind the best that is good enough to end a race for confidence.
    """

    limits: Mapping[str, float]
    policy: Policy
    confirm: float
    confidence: float
    indifference: float = 0.01
    assumed: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def tolerance(self) -> float:
        """Quality that may be given up for price or latency, from 0 to 1."""
        return self.policy.tolerance

    @property
    def steering(self) -> Mapping[str, float]:
        """The limits that a search prefers to be kept: written ones and assumed ones."""
        return {**self.assumed, **self.limits}

    def words(self) -> str:
        """The aim as a phrase, for people."""
        policy = self.policy.words()
        limits = ", ".join(f"{name} at most {written(most)}" for name, most in self.limits.items())
        return f"{policy}, with {limits}" if limits else policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Caps of one run; `None`: this one is not capped. At least one is set."""

    usd: float | None = None
    calls: int | None = None
    tokens: int | None = None
    minutes: float | None = None

    def words(self) -> str:
        """The caps as a phrase, for people."""
        usd = [] if self.usd is None else [f"{written(self.usd)} USD"]
        caps = {"call": self.calls, "token": self.tokens, "minute": self.minutes}
        counted = [
            f"{written(most)} {unit}{'' if most == 1 else 's'}"
            for unit, most in caps.items()
            if most is not None
        ]
        return ", ".join([*usd, *counted])


@dataclass(frozen=True, slots=True, kw_only=True)
class NearAnswers:
    """A development run's wish to be given the answers of near prompts.

    threshold: the least cosine. sent: along with a prompt that is embedded.
    """

    model: Model
    threshold: float
    sent: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])

    def why_not(self) -> str:
        """Why nothing of such a run may be shipped, a sentence."""
        return (
            "this is a development run: semantic_cache gives the answer of a prompt to others from cosine "
            f"{written(self.threshold)} on ({self.model.full_name}), so that figures are not those of the "
            "settings, and nothing is recommended, compared or exported; remove semantic_cache and run again "
            "(what was answered is not paid again)"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The one set of settings that a run measures, and the samples that it answers.

    origin: where the settings come from, in words. chosen_by: the run of this experiment that recommends
    them, which saw its search split; `None`: nobody says so. form: what `make_plan` reads them from again.
    """

    settings: Settings
    split: Split
    origin: str
    chosen_by: str | None = None
    form: Mapping[str, JsonValue] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run, decided. spec_file: `None` when the spec came from Python.

    evaluated: what is measured, the only point of the space then; `None`: the space is searched.
    models: every model of the space, with the prices that count for this run. judge_models: those that judge.
    fallback_models: those that an evaluation goes on with when one cannot be asked any more.
    endpoints: by provider name. reuse_limits: output limits among which an answer may stand for another, none
    unless the spec says so. escalate: whether larger classes are tried only where smaller ones do not do.
    near: `None` but in development runs.
    optuna_storage: where the run is mirrored live, `None`: nowhere. notes: for readers, as in a model's
    announced end. pins: what `make_plan` has to be told, besides the spec, to make this plan again.
    """

    experiment: str
    description: str
    spec_file: str | None
    spec_text: str
    task: Task
    space: Space
    models: Mapping[str, Model]
    endpoints: Mapping[str, Endpoint]
    aim: Aim
    budget: Budget
    failures: Failures
    seed: int
    n_trials: int
    mode: Mode
    sampler: Sampler
    prices_as_of: str
    catalogue_fingerprint: str
    reuse_limits: tuple[int, ...] = ()
    escalate: bool = False
    optuna_storage: str | None = None
    notes: tuple[str, ...] = ()
    pins: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    evaluated: Evaluated | None = None
    judge_models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    gate: Gate = field(default_factory=Gate)
    fallback_models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    near: NearAnswers | None = None

    @property
    def verb(self) -> Verb:
        """What the plan is for."""
        return "tune" if self.evaluated is None else "eval"

    @property
    def most_trials(self) -> int:
        """How many different settings may be tried."""
        distinct = self.space.distinct
        return self.n_trials if distinct is None else min(self.n_trials, distinct)

    @property
    def asked_models(self) -> Mapping[str, Model]:
        """Every model that a run may call: of the space, judges, fallbacks, and what finds near prompts."""
        near = {} if self.near is None else {self.near.model.full_name: self.near.model}
        return {**self.models, **self.judge_models, **self.fallback_models, **near}

    def spec_fingerprint(self) -> str:
        """The name of the spec as it was written, comments included."""
        return fingerprint(self.spec_text)

    def fingerprint(self) -> str:
        """The name of everything that can change a result: not of file names or descriptions.

        Budget, speed limits, time-outs, mirrors and how fast models answer are left out: a run resumed with
        more money is the same run.
        """
        task = self.task
        wheres = {name: (e.wire, e.litellm_prefix, e.api_base) for name, e in self.endpoints.items()}
        evaluated = {} if self.evaluated is None else {"split": self.evaluated.split}
        return fingerprint(
            {
                **evaluated,
                "data": task.rows.fingerprint(),
                **(asked_of(task) if not task.parts else {}),
                **(
                    {"tasks": [(one.name, one.weight, asked_of(one)) for one in task.parts]}
                    if task.parts
                    else {}
                ),
                "repeats": task.repeats,
                "space": _named(self.space),
                "models": {name: _timeless(model) for name, model in self.models.items()},
                "endpoints": wheres,
                "aim": self.aim,
                "failures": self.failures,
                "seed": self.seed,
                "n_trials": self.n_trials,
                "mode": self.mode,
                "sampler": replace(self.sampler, given=None),
                # Absent when unused: plans made before there was such a thing keep their names.
                **({"reuse_limits": self.reuse_limits} if self.reuse_limits else {}),
                **({"judges": self._judges()} if task.judges else {}),
                **({"escalate": True} if self.escalate else {}),
                **({} if self.near is None else {"near": (self.near.model.full_name, self.near.threshold)}),
                **({} if task.embedding is None else {"embedding": task.embedding.parts()}),
            }
        )

    def _judges(self) -> dict[str, object]:
        return {
            "judges": self.task.judges,
            "models": {name: _timeless(model) for name, model in self.judge_models.items()},
            "labelled": {
                name: [(one.answer.text, one.answer.sample, one.good) for one in labelled]
                for name, labelled in self.task.labelled.items()
            },
        }


def _named(space: Space) -> dict[str, object]:
    """The space without what it does not have."""
    known = {one.name: getattr(space, one.name) for one in fields(space)}
    return known if space.presets else {name: known[name] for name in known if name != "presets"}


def _timeless(model: Model) -> Model:
    return replace(model, answer_s=None, answer_s_source="")
