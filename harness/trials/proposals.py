"""What to try next, by Optuna's ask and tell. The only file that imports Optuna.

In: a space, and values told. Out: settings. How many samples a proposal deserves is decided elsewhere.
The study lives in memory: with the same seed and the same values told, it proposes the same again, so a
resumed run rebuilds it by telling it what the store holds.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.fingerprint import canonical
from harness.plan.plan import Choices, Dimension, Space
from harness.records import JsonValue, Settings

if TYPE_CHECKING:
    import optuna

DECIMALS = 2  # of proposed numbers: nobody ships a temperature of 0.6317281
NEW_TRIES = 20  # proposals drawn before a finite space counts as used up
SAMPLERS = ("auto", "tpe", "random")


class Proposals:
    """Asks Optuna for settings that were not tried before. Numbers count from 0 in order of asking."""

    def __init__(self, space: Space, *, seed: int, sampler: str = "auto") -> None:
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
        taken: list[tuple[int, Settings]] = []
        for settings in pool[:most]:
            self._study.enqueue_trial(self._parameters(settings))
            taken.append(self._take(self._study.ask(), settings))
        return taken

    def ask(self) -> tuple[int, Settings] | None:
        """New settings with their number; `None` when the space seems used up."""
        for _ in range(NEW_TRIES):
            trial = self._study.ask()
            settings = self._suggest(trial)
            twin = self._known.get(canonical(settings))
            if twin is None:
                return self._take(trial, settings)
            # The sampler learns from a repeat what it knew already, so that it looks elsewhere.
            self._study.tell(trial, self._values.get(twin, 0.0))
        return None

    def tell(self, number: int, value: float | None) -> None:
        """What this proposal was worth, comparable between short and long trials; `None`: it failed."""
        import optuna

        trial, _ = self._asked[number]
        if value is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return
        self._values[number] = value
        self._study.tell(trial, value)

    def _take(self, trial: optuna.trial.Trial, settings: Settings) -> tuple[int, Settings]:
        number = len(self._asked)
        self._asked.append((trial, settings))
        self._known.setdefault(canonical(settings), number)
        return number, settings

    def _suggest(self, trial: optuna.trial.Trial) -> Settings:
        model = str(trial.suggest_categorical("model", self._space.models))
        prompt = str(trial.suggest_categorical("prompt", self._space.prompts))
        drawn: dict[str, Any] = {
            dimension.name: _drawn(trial, self._name(dimension, model), dimension)
            for dimension in self._space.dimensions[model]
        }
        return replace(self._space.defaults[model], prompt=prompt, **drawn)

    def _parameters(self, settings: Settings) -> dict[str, Any]:
        parameters: dict[str, Any] = {"model": settings.model, "prompt": settings.prompt}
        for dimension in self._space.dimensions[settings.model]:
            value = getattr(settings, dimension.name)
            name = self._name(dimension, settings.model)
            if isinstance(dimension, Choices):
                parameters[name] = _label(list(value) if isinstance(value, tuple) else value)
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
    elif sampler == "random":
        made = optuna.samplers.RandomSampler(seed=seed)
    else:
        raise UsageError(f"search.sampler is {sampler!r}; expected one of {', '.join(SAMPLERS)}")
    return optuna.create_study(direction="maximize", sampler=made)


def _drawn(trial: optuna.trial.Trial, name: str, dimension: Dimension) -> JsonValue | tuple[str, ...]:
    if isinstance(dimension, Choices):
        value = json.loads(str(trial.suggest_categorical(name, [_label(v) for v in dimension.values])))
        return tuple(value) if isinstance(value, list) and dimension.name == "stop" else value
    if dimension.integer:
        step = int(dimension.step or 1)
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), step=step, log=dimension.log)
    drawn = trial.suggest_float(name, dimension.low, dimension.high, step=dimension.step, log=dimension.log)
    return min(dimension.high, max(dimension.low, round(drawn, DECIMALS)))


def _label(value: object) -> str:
    # Optuna's categories are scalars: lists and numbers alike travel as their JSON text.
    return canonical(value)
