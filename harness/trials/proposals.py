"""What to try next, by Optuna's ask and tell. The only file that imports Optuna.

In: a space, and values told. Out: settings. How many samples a proposal deserves is decided elsewhere.
The study lives in memory: with the same seed and the same values told, it proposes the same again, so a
resumed run rebuilds it by telling it what the store holds.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.fingerprint import canonical
from harness.plan.plan import Choices, Dimension, Range, Space
from harness.records import JsonValue, Settings

if TYPE_CHECKING:
    import optuna

DECIMALS = 2  # of proposed numbers: nobody ships a temperature of 0.6317281
DIGITS = 3  # significant ones, where a range is narrow or logarithmic
GRID_DECIMALS = 10  # enough for any step, and few enough to lose 0.30000000000000004
NEW_TRIES = 10  # proposals drawn before the rest of a finite space is gone through in order
SAMPLERS = ("auto", "tpe", "random", "grid")


class Proposals:
    """Asks Optuna for settings that were not tried before. Numbers count from 0 in order of asking."""

    def __init__(self, space: Space, *, seed: int, sampler: str = "auto") -> None:
        if sampler == "grid" and space.distinct is None:
            raise UsageError(
                "search.sampler is 'grid', but the space cannot be counted; give each range a step, or "
                "list choices"
            )
        self._space = space
        self._study = _study(sampler, seed)
        self._asked: list[tuple[optuna.trial.Trial, Settings]] = []
        self._known: dict[str, int] = {}
        self._values: dict[int, float] = {}

    def defaults(self, most: int) -> list[tuple[int, Settings]]:
        """Every combination of model and prompt at its defaults, the untuned default first."""
        pool = [
            replace(self._space.defaults[model], prompt=prompt)
            for prompt in self._space.prompts
            for model in self._space.models
        ]
        return [self._take(*self._asked_for(settings)) for settings in pool[:most]]

    def ask(self) -> tuple[int, Settings] | None:
        """New settings with their number; `None` when every setting of a finite space was tried.

        In a space that cannot be counted, `None` when the sampler finds nothing new.
        """
        for _ in range(NEW_TRIES):
            trial = self._study.ask()
            settings = self._suggest(trial)
            twin = self._known.get(canonical(settings))
            if twin is None:
                return self._take(trial, settings)
            # The sampler learns from a repeat what it knew already, so that it looks elsewhere.
            self._report(trial, self._values.get(twin))
        untried = next(self._untried(), None)
        return None if untried is None else self._take(*self._asked_for(untried))

    def tell(self, number: int, value: float | None) -> None:
        """What this proposal was worth, comparable between short and long trials; `None`: it failed."""
        trial, _ = self._asked[number]
        if value is not None:
            self._values[number] = value
        self._report(trial, value)

    def _report(self, trial: optuna.trial.Trial, value: float | None) -> None:
        import optuna

        if value is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, value)

    def _asked_for(self, settings: Settings) -> tuple[optuna.trial.Trial, Settings]:
        """A trial of the study with these settings: suggested too, or the sampler would not know them."""
        self._study.enqueue_trial(self._parameters(settings))
        trial = self._study.ask()
        return trial, self._suggest(trial, rounded=False)

    def _untried(self) -> Iterator[Settings]:
        if self._space.distinct is None:
            return
        for model, prompt in itertools.product(self._space.models, self._space.prompts):
            dimensions = self._space.dimensions[model]
            start = replace(self._space.defaults[model], prompt=prompt)
            for row in itertools.product(*(_all_values(dimension) for dimension in dimensions)):
                drawn: dict[str, Any] = {d.name: value for d, value in zip(dimensions, row, strict=True)}
                settings = replace(start, **drawn)
                if canonical(settings) not in self._known:
                    yield settings

    def _take(self, trial: optuna.trial.Trial, settings: Settings) -> tuple[int, Settings]:
        number = len(self._asked)
        self._asked.append((trial, settings))
        self._known.setdefault(canonical(settings), number)
        return number, settings

    def _suggest(self, trial: optuna.trial.Trial, *, rounded: bool = True) -> Settings:
        model = str(trial.suggest_categorical("model", self._space.models))
        prompt = str(trial.suggest_categorical("prompt", self._space.prompts))
        drawn: dict[str, Any] = {
            dimension.name: _drawn(trial, self._name(dimension, model), dimension, rounded=rounded)
            for dimension in self._space.dimensions[model]
        }
        return replace(self._space.defaults[model], prompt=prompt, **drawn)

    def _parameters(self, settings: Settings) -> dict[str, Any]:
        parameters: dict[str, Any] = {"model": settings.model, "prompt": settings.prompt}
        for dimension in self._space.dimensions[settings.model]:
            value = getattr(settings, dimension.name)
            name = self._name(dimension, settings.model)
            if isinstance(dimension, Choices):
                # The value as the space writes it: a default of 0 is the choice 0.0.
                plain = list(value) if isinstance(value, tuple) else value
                parameters[name] = next(_label(one) for one in dimension.values if one == plain)
            else:
                parameters[name] = value
        return parameters

    def _name(self, dimension: Dimension, model: str) -> str:
        # Models that search a setting over different values are different dimensions to a sampler.
        others = (
            d for m in self._space.models for d in self._space.dimensions[m] if d.name == dimension.name
        )
        return dimension.name if all(other == dimension for other in others) else f"{dimension.name}@{model}"


def _study(sampler: str, seed: int) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if sampler in ("auto", "tpe"):
        # Multivariate TPE, the default since Optuna 5, learns too slowly from few evaluations.
        made: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
            seed=seed, multivariate=False, n_startup_trials=0, constant_liar=True
        )
    elif sampler in ("random", "grid"):  # a grid is gone through in random order, each setting once
        made = optuna.samplers.RandomSampler(seed=seed)
    else:
        raise UsageError(f"search.sampler is {sampler!r}; expected one of {', '.join(SAMPLERS)}")
    return optuna.create_study(direction="maximize", sampler=made)


def _drawn(
    trial: optuna.trial.Trial, name: str, dimension: Dimension, *, rounded: bool
) -> JsonValue | tuple[str, ...]:
    if isinstance(dimension, Choices):
        value = json.loads(str(trial.suggest_categorical(name, [_label(v) for v in dimension.values])))
        return _as_setting(dimension, value)
    if dimension.integer:
        step = int(dimension.step or 1)
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), step=step, log=dimension.log)
    drawn = trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return _rounded(drawn, dimension) if rounded else drawn


def _rounded(value: float, dimension: Range) -> float:
    """The number with as many digits as one would ship: at least some hundred different ones a range."""
    if dimension.step is not None:
        return round(value, GRID_DECIMALS)
    if dimension.log:
        short = float(f"{value:.{DIGITS}g}")
    else:
        width = dimension.high - dimension.low
        short = round(value, max(DECIMALS, DIGITS - 1 - math.floor(math.log10(width))) if width else DECIMALS)
    return min(dimension.high, max(dimension.low, short))


def _all_values(dimension: Dimension) -> Sequence[JsonValue | tuple[str, ...]]:
    if isinstance(dimension, Choices):
        return [_as_setting(dimension, value) for value in dimension.values]
    step = dimension.step or 1
    values = [dimension.low + place * step for place in range(dimension.distinct or 0)]
    return [int(value) if dimension.integer else round(value, GRID_DECIMALS) for value in values]


def _as_setting(dimension: Choices, value: JsonValue) -> JsonValue | tuple[str, ...]:
    return tuple(str(one) for one in value) if dimension.name == "stop" and isinstance(value, list) else value


def _label(value: object) -> str:
    # Optuna's categories are scalars: lists and numbers alike travel as their JSON text.
    return canonical(value)
