"""The block `semantic_cache` of a spec, looked up: which model tells near prompts.

In: a spec as it was read. Out: `NearAnswers`; faults are noted with their place. Must not send anything.
"""

from __future__ import annotations

from harness.catalogue.models import Catalogue
from harness.errors import CatalogueError
from harness.plan.input_types import documented
from harness.plan.lookup import find_model
from harness.plan.plan import NearAnswers
from harness.plan.spec_reader import SpecReading


def find_near(reading: SpecReading, catalogue: Catalogue) -> NearAnswers | None:
    """What the spec asks for; `None` for nothing, and for a model that will not do, which is noted."""
    wanted = None if reading.spec is None else reading.spec.semantic_cache
    if wanted is None:
        return None
    place = ("semantic_cache", "model")
    try:
        model = find_model(wanted.model, catalogue)
    except CatalogueError as error:
        reading.problems.add(place, str(error))
        return None
    if model.model_class != "EMBEDDING":
        reading.problems.add(
            place,
            f"is {model.full_name}, of class {model.model_class}, which gives no vectors",
        )
        return None
    # As a task of kind semantic_cache, which chose the threshold, would send it.
    return NearAnswers(model=model, threshold=wanted.threshold, sent=documented(model, "semantic_cache"))


def refuse_near(reading: SpecReading) -> None:
    """Note such a block in a task of vectors, each of which is the answer to its own text."""
    if reading.spec is not None and reading.spec.semantic_cache is not None:
        reading.problems.add(
            ("semantic_cache",),
            "is for tasks of models that write; remove it (task.kind: semantic_cache chooses a threshold)",
        )
