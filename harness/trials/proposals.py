"""What to try next, by Optuna's ask and tell.

In: a space, and values told. Out: settings. How many samples a proposal deserves is decided elsewhere.
The study lives in memory: with the same seed and the same values told, it proposes the same again, so a
resumed run rebuilds it by telling it what the store holds. A door to Optuna.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.fingerprint import canonical
from harness.plan.parameters import all_settings, default_settings, parameters_of, suggested
from harness.plan.plan import Sampler, Space
from harness.plan.samplers import chosen_sampler, one_torch_thread, open_study
from harness.records import Settings

if TYPE_CHECKING:
    import optuna

NEW_TRIES = 10  # proposals drawn before the rest of a finite space is gone through in order


@dataclass(frozen=True, slots=True)
class _Told:
    """What a proposal was worth: a value per objective, `None` when it failed."""

    values: tuple[float, ...] | None
    broken: Mapping[str, float]


class Proposals:
    """Asks Optuna for settings that were not tried before. Numbers count from 0 in order of asking.

    sampler: of a plan, or a word for one without arguments, such as "tpe". On a front, quality is raised and
    price lowered. Raises UsageError for a sampler that cannot be had, or cannot go through this space.
    """

    def __init__(self, space: Space, *, seed: int, sampler: Sampler | str = "auto") -> None:
        chosen = chosen_sampler(sampler, None, None, "") if isinstance(sampler, str) else sampler
        if chosen.name == "grid" and space.distinct is None:
            raise UsageError(
                "search.sampler is 'grid', but the space cannot be counted; give each range a step, or "
                "list choices"
            )
        self._space = space
        self._front = chosen.front
        self._study = open_study(chosen, seed)
        self._asked: list[tuple[optuna.trial.Trial, Settings]] = []
        self._known: dict[str, int] = {}
        self._told: dict[int, _Told] = {}

    def defaults(self, most: int) -> list[tuple[int, Settings]]:
        """The untuned default and presets, then every combination of model and prompt at its defaults.

        Then settings that the plan starts from; each once, and no more than `most`.
        """
        space = self._space
        return self._take_new([*space.fixed, *default_settings(space), *space.warm], most)

    def whole(self, most: int) -> list[tuple[int, Settings]] | None:
        """Every setting of the space in the order of `defaults`; `None` when there are more than `most`."""
        distinct = self._space.distinct
        if distinct is None or distinct > most:
            return None
        return [*self.defaults(most), *self._take_new(all_settings(self._space), most)]

    def ask(self) -> tuple[int, Settings] | None:
        """New settings with their number; `None` when every setting of a finite space was tried.

        In a space that cannot be counted, `None` when the sampler finds nothing new.
        """
        for _ in range(NEW_TRIES):
            with one_torch_thread():
                trial = self._study.ask()
                settings = suggested(trial, self._space)
            twin = self._known.get(canonical(settings))
            if twin is None:
                return self._take(trial, settings)
            # The sampler learns from a repeat what it knew already, so that it looks elsewhere.
            self._report(trial, self._told.get(twin, _Told(None, {})))
        return next(iter(self._take_new(all_settings(self._space), 1)), None)

    def tell(
        self,
        number: int,
        value: float | None,
        *,
        usd_per_1k_calls: float | None = None,
        broken: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """What this proposal was worth, comparable between short and long trials; `None`: it failed.

        usd_per_1k_calls: the second objective on a front, where a price that is unknown says nothing: there,
        the trial counts as failed. broken: by limit, how far it is broken, as a share of it; 0 or less:
        it is kept.
        """
        values: tuple[float, ...] | None = None
        if value is not None and not (self._front and usd_per_1k_calls is None):
            values = (value, usd_per_1k_calls) if self._front and usd_per_1k_calls is not None else (value,)
        told = self._told[number] = _Told(values, broken)
        self._report(self._asked[number][0], told)

    def _report(self, trial: optuna.trial.Trial, told: _Told) -> None:
        import optuna

        for name, share in told.broken.items():
            trial.set_constraint(name, share)
        if told.values is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, told.values)

    def _take_new(self, pool: Iterable[Settings], most: int) -> list[tuple[int, Settings]]:
        """The first of these settings that nobody asked for yet, as trials of the study.

        They are suggested too, or the sampler would not know them.
        """
        taken: list[tuple[int, Settings]] = []
        for settings in pool:
            if len(taken) == most:
                break
            if canonical(settings) in self._known:
                continue
            self._study.enqueue_trial(parameters_of(settings, self._space))
            trial = self._study.ask()
            taken.append(self._take(trial, suggested(trial, self._space, rounded=False)))
        return taken

    def _take(self, trial: optuna.trial.Trial, settings: Settings) -> tuple[int, Settings]:
        number = len(self._asked)
        self._asked.append((trial, settings))
        self._known.setdefault(canonical(settings), number)
        return number, settings
