"""Searches of a world of continuous settings, and what they are worth against its true optimum.

In: a `ParametricWorld`, the name of a strategy, budgets in calls. Out: one `Outcome` per run and budget. A
strategy sees rows, as in a recorded matrix; here a row may be any settings, added when they are proposed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError
from harness.records import Settings
from harness.testing.matrices import Cells, Draw, Floats
from harness.testing.optuna_rivals import tpe_asha, tpe_full, tpe_wilcoxon
from harness.testing.outcomes import Outcome, Summary, judge, seed_of, summary
from harness.testing.parametric import LIMIT, PENALTY, TEMPERATURE, TOP_P, ParametricWorld, parametric_world
from harness.testing.parametric_race import search_open
from harness.testing.rivals import Rival, Strategy, halving, random_full, ucb_e

if TYPE_CHECKING:
    import optuna

REPEATS = 3  # answers of a row after its first ones, with which a winner is measured
FEWEST_CALLS = 2  # of a trial, before a pruner may end it


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDraw(Draw):
    """A draw of a parametric world whose rows are filled as settings are added; see `open_draw`."""

    world: ParametricWorld
    settings: list[Settings] = field(default_factory=list[Settings])

    def add(self, settings: Settings) -> int:
        """The new row of these settings."""
        row = len(self.settings)
        self.settings.append(settings)
        assert self.prices is not None
        self.truth[row] = self.world.true_quality(settings)
        self.answers[row] = self.world.answers(settings)
        self.prices[row] = self.world.prices(settings)
        return row

    def repeats(self, row: int) -> Floats:
        """The answers of a row to the same samples when it is asked again and again."""
        settings = self.settings[row]
        return np.stack([self.world.answers(settings, repeat) for repeat in range(REPEATS + 1)], axis=1)


def open_draw(world: ParametricWorld, rows: int) -> OpenDraw:
    """A draw of this world with room for this many rows, and none yet."""
    shape = (rows, len(world.sample_ids))
    return OpenDraw(
        name=f"parametric world {world.seed}",
        configs=(),
        truth=np.full(rows, np.nan),
        best=world.best,
        answers=np.full(shape, np.nan),
        prices=np.full(shape, np.nan),
        world=world,
    )


@dataclass(frozen=True, slots=True)
class Searcher:
    """A strategy for a parametric world. rows: those it starts from; `None`: it adds them as it proposes."""

    rival: Rival
    rows: Callable[[ParametricWorld], list[Settings]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTask:
    """What to repeat: run n takes place in world n % worlds, with luck of its own. budgets: in calls."""

    strategy: str
    budgets: tuple[int, ...]
    worlds: int = 24
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in SEARCHERS:
            raise UsageError(
                f"no strategy {self.strategy!r} for parametric worlds; expected one of {', '.join(SEARCHERS)}"
            )
        if not self.budgets or min(self.budgets) < 1:
            raise UsageError(f"calls are {self.budgets!r}; expected whole numbers from 1 up")


def search(task: SearchTask, number: int) -> list[Outcome]:
    """One run, an outcome for each budget in order. The same number is the same world and luck for all."""
    world = parametric_world(seed_of(task.seed, "world", number % task.worlds))
    world = replace(world, luck=seed_of(task.seed, "luck", number))
    seed, searcher = seed_of(task.seed, "strategy", number), SEARCHERS[task.strategy]
    groups = [sorted(set(task.budgets))] if searcher.rival.anytime else [[budget] for budget in task.budgets]
    found: dict[int, Outcome] = {}
    for budgets in groups:
        *marks, most = budgets
        cells = Cells(_drawn(world, searcher, most, seed), most, marks=marks)
        searcher.rival.name_row(cells, seed)
        found |= zip(budgets, (judge(cells.draw, standing) for standing in cells.finish()), strict=True)
    return [found[budget] for budget in task.budgets]


def summarise_searches(task: SearchTask, runs: Sequence[Sequence[Outcome]]) -> list[Summary]:
    """One summary for each budget. runs: of `search`."""
    return [
        summary([run[place] for run in runs], budget=budget, worlds=task.worlds)
        for place, budget in enumerate(task.budgets)
    ]


def _drawn(world: ParametricWorld, searcher: Searcher, budget: int, seed: int) -> OpenDraw:
    if searcher.rows is None:
        return open_draw(world, budget // FEWEST_CALLS + 1)
    rows = searcher.rows(world)
    made = open_draw(world, len(rows))
    for place in np.random.default_rng(seed).permutation(len(rows)):
        made.add(rows[place])
    return made


def random_settings(world: ParametricWorld, rng: np.random.Generator) -> Settings:
    """Settings from all over the space, every model and prompt as likely as the others."""
    combinations = list(world.abilities)
    model, prompt = combinations[int(rng.integers(len(combinations)))]
    return Settings(
        model=model,
        prompt=prompt,
        temperature=float(rng.uniform(*TEMPERATURE)),
        top_p=float(rng.uniform(*TOP_P)),
        frequency_penalty=float(rng.uniform(*PENALTY)),
        presence_penalty=float(rng.uniform(*PENALTY)),
        max_output_tokens=round(math.exp(rng.uniform(math.log(LIMIT[0]), math.log(LIMIT[1])))),
    )


def random_open(cells: Cells, seed: int) -> None:
    """Random settings from the whole space, each on all samples."""
    world, rng, best = _open(cells.draw), np.random.default_rng(seed), -1.0
    while True:
        row = world.add(random_settings(world.world, rng))
        mean = float(np.mean([cells.ask_one(row, place) for place in range(cells.shape[1])]))
        if mean > best:
            cells.named, best = row, mean


def proposed(study: optuna.Study, world: Draw) -> Iterator[tuple[optuna.Trial, int]]:
    """Settings from the whole space as Optuna proposes them, without end."""
    drawn = _open(world)
    models = sorted({model for model, _ in drawn.world.abilities})
    prompts = sorted({prompt for _, prompt in drawn.world.abilities})
    while True:
        trial = study.ask()
        settings = Settings(
            model=str(trial.suggest_categorical("model", models)),
            prompt=str(trial.suggest_categorical("prompt", prompts)),
            temperature=trial.suggest_float("temperature", *TEMPERATURE),
            top_p=trial.suggest_float("top_p", *TOP_P),
            frequency_penalty=trial.suggest_float("frequency_penalty", *PENALTY),
            presence_penalty=trial.suggest_float("presence_penalty", *PENALTY),
            max_output_tokens=trial.suggest_int("max_output_tokens", *LIMIT, log=True),
        )
        yield trial, drawn.add(settings)


def _open(world: Draw) -> OpenDraw:
    assert isinstance(world, OpenDraw), "only a parametric world takes new rows"
    return world


def _anywhere(strategy: Callable[..., None], about: str) -> Searcher:
    play: Strategy = partial(strategy, propose=proposed)
    return Searcher(Rival(play, True, about))


def _race(cells: Cells, seed: int) -> None:
    drawn = _open(cells.draw)
    search_open(cells, drawn.world, drawn.add, seed)


SEARCHERS: Mapping[str, Searcher] = {
    "race": Searcher(Rival(_race, False, "the product's own: defaults raced, then TPE proposals raced")),
    "grid": Searcher(
        Rival(random_full, True, "the user's grid of 108 settings, each on all samples"),
        ParametricWorld.users_grid,
    ),
    "random-full": Searcher(Rival(random_open, True, "random settings, each on all samples")),
    "halving": Searcher(
        Rival(halving, False, "36 combinations at sane defaults, paired sequential halving"),
        ParametricWorld.defaults,
    ),
    "ucb-e": Searcher(
        Rival(ucb_e, True, "36 combinations at sane defaults, UCB-E"), ParametricWorld.defaults
    ),
    "tpe-full": _anywhere(tpe_full, "Optuna's TPE in the whole space, each proposal on all samples"),
    "tpe-wilcoxon": _anywhere(tpe_wilcoxon, "Optuna's TPE in the whole space, with its WilcoxonPruner"),
    "tpe-asha": _anywhere(tpe_asha, "Optuna's TPE in the whole space, with its SuccessiveHalvingPruner"),
}
