"""Who judges, looked up: models of judges, answers they are measured with, and what to say of them.

In: the scorers of a task. Out: a `Panel`. Must not ask anybody.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.catalogue.models import Catalogue, Model
from harness.errors import CatalogueError, DataError, UsageError
from harness.plan.labelled import Labelled, read_labelled
from harness.plan.lookup import find_model
from harness.plan.problems import Place, Problems
from harness.scores.combined import judges_in, with_judges
from harness.scores.judge import Judge
from harness.scores.scorer import Scorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The judges of a task. models: by full name. named: judges by name, with full names of their models.

    labelled: by judge, only of those that have some.
    """

    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    judges: Mapping[str, Judge] = field(default_factory=dict[str, Judge])
    labelled: Mapping[str, tuple[Labelled, ...]] = field(default_factory=dict[str, tuple[Labelled, ...]])

    def named(self, scorers: Sequence[Scorer | Judge]) -> tuple[Scorer | Judge, ...]:
        """The scorers, with judges, also those inside of others, as they are here."""
        return tuple(with_judges(one, self.judges) for one in scorers)

    def notes(self, tried: Container[str]) -> tuple[str, ...]:
        """What to say of judges that nobody measured, and of those that judge themselves."""
        notes: list[str] = []
        for judge in self.judges.values():
            if judge.name not in self.labelled:
                notes.append(
                    f"judge {judge.name!r} was not measured: its errors stand in every figure. Give it "
                    "`labelled`, 20 or more answers that people called good or bad"
                )
            own = [model for model in judge.asks if model in tried]
            if own:
                notes.append(
                    f"judge {judge.name!r} judges answers of its own model, {', '.join(own)}: models tend to "
                    "prefer their own words"
                )
        return tuple(notes)


def find_panel(
    scorers: Sequence[Scorer | Judge],
    forms: Sequence[object],
    catalogue: Catalogue,
    folder: Path,
    problems: Problems,
) -> Panel:
    """The panel of these scorers; faults are noted at the entry of `task.scorers` that makes the judge.

    forms: these entries.
    """
    models: dict[str, Model] = {}
    judges: dict[str, Judge] = {}
    labelled: dict[str, tuple[Labelled, ...]] = {}
    for judge in (judge for one in scorers for judge in judges_in(one)):
        try:
            found = [_fitting_model(name, judge, catalogue) for name in judge.asks]
            models |= {model.full_name: model for model in found}
            judges[judge.name] = judge.asking([model.full_name for model in found])
            if known := read_labelled(judge, folder):
                labelled[judge.name] = known
        except (CatalogueError, UsageError) as error:
            problems.add(_entry(judge, forms), f"judge {judge.name!r}: {error}")
        except DataError as error:
            problems.extend(error.problems)
    return Panel(models=models, judges=judges, labelled=labelled)


def _entry(judge: Judge, forms: Sequence[object]) -> Place:
    """The place of the entry in which this judge is named, by its kind or a name of its own."""
    named = [number for number, form in enumerate(forms) if json.dumps(judge.name) in json.dumps(form)]
    return ("task", "scorers", *named[:1])


def _fitting_model(name: str, judge: Judge, catalogue: Catalogue) -> Model:
    model = find_model(name, catalogue)
    embeds = model.model_class == "EMBEDDING"
    if embeds and not judge.reads_vectors:
        raise UsageError(f"{model.full_name} gives vectors, not verdicts; name another model")
    if judge.reads_vectors and not embeds:
        raise UsageError(
            f"{model.full_name} writes texts and gives no vectors; name a model of class EMBEDDING"
        )
    return model
