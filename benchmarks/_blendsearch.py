"""FLAML's BlendSearch as a rival on a recorded matrix; run by the Python of an environment that has FLAML.

In: the module search path has this project, whose `harness.testing.matrices` and `outcomes` need NumPy alone.
Out: a line of JSON for each run: what it would name at each budget, in points and calls.

FLAML stops nothing early by quality: each row that it proposes answers all samples.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
from contextlib import suppress
from pathlib import Path

from flaml import tune
from flaml.tune.searcher.blendsearch import BlendSearch

from harness.testing.matrices import Cells, OverBudgetError, draw, factors_of, load_matrix
from harness.testing.outcomes import Budgets, judge, seed_of

ASKED_MOST = 4  # proposals per row: it comes back to what it knows


class EveryRowTried(Exception):  # noqa: N818 - an end, and no error
    """There is nothing left to find."""


def blendsearch(cells: Cells, seed: int) -> None:
    """Rows as BlendSearch proposes them, each on all samples; a combination that was never recorded is bad."""
    configs, names = cells.draw.configs, factors_of(cells.draw.configs)
    names = names or ("row",)
    keys = [tuple(str(config.get(name, place)) for name in names) for place, config in enumerate(configs)]
    rows = {key: row for row, key in enumerate(keys)}
    space = {name: tune.choice(sorted({key[place] for key in keys})) for place, name in enumerate(names)}
    means: dict[int, float] = {}

    def evaluate(config: dict[str, str]) -> dict[str, float]:
        row = rows.get(tuple(config[name] for name in names))
        if row is None:
            return {"quality": 0.0}
        if not means:
            cells.named = row
        answers = [cells.ask_one(row, position) for position in range(cells.shape[1])]
        means[row] = sum(answers) / len(answers)
        cells.named = max(means, key=means.__getitem__)
        if len(means) == len(configs):
            raise EveryRowTried
        return {"quality": means[row]}

    search = BlendSearch(metric="quality", mode="max", space=space, seed=seed % 2**31)
    tune.run(evaluate, search_alg=search, num_samples=ASKED_MOST * len(configs), verbose=0)


def main() -> None:
    """Replay runs `--first` to `--first + --runs` - 1 of a matrix."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--fractions", required=True)
    parser.add_argument("--runs", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cost", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    fractions = tuple(sorted(float(part) for part in options.fractions.split(",")))
    budgets = Budgets(matrix=load_matrix(options.file), fractions=fractions, in_usd=options.cost)
    *marks, most = map(budgets.of, fractions)
    for number in range(options.first, options.first + options.runs):
        world = draw(budgets.matrix, seed_of(options.seed, number, "world"))
        cells = Cells(world, most, in_usd=options.cost, marks=marks)
        with suppress(OverBudgetError, EveryRowTried):
            blendsearch(cells, seed_of(options.seed, number, "strategy"))
        outcomes = [dataclasses.asdict(judge(world, standing)) for standing in cells.finish()]
        print(json.dumps(outcomes), flush=True)


if __name__ == "__main__":
    main()
