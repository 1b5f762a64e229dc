"""The space of an embedding task: what is sent to a model, and what is done with its vectors here.

In: `search` of a spec and the models it means. Out: a `Space` whose settings hold both, each where it
belongs. Must not know prices or data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.catalogue.models import Model
from harness.plan.embedding_spec import LOCAL, VectorSearchSpec
from harness.plan.lengths import longest_prompt
from harness.plan.plan import Choices, Dimension, Range, Space
from harness.plan.problems import Problems, shown
from harness.plan.ranges import Setting
from harness.plan.space import dimension_of, refuse_endless, starting_value
from harness.plan.spec import SEARCHABLE, SearchSpec
from harness.records import JsonValue, Settings

SIZE = "dimensions"
SPLITS = ("sentence", "paragraph", "markdown")
POOLINGS = ("mean", "max")


def make_vector_space(
    search: SearchSpec,
    models: Mapping[str, Model],
    prompts: Sequence[str],
    types: Mapping[str, Choices],
    problems: Problems,
) -> Space:
    """The space of these models and prompt variants; what makes no sense for vectors is noted.

    types: by model, what it may be told that texts are for.
    """
    for name in SEARCHABLE:
        if getattr(search, name) is not None:
            problems.add(("search", name), "is a setting of models that write; embedding models take none")
    for name in ("n_shots",):
        if getattr(search, name) is not None:
            problems.add(("search", name), "belongs to prompts of models that write; remove it")
    for full_name, model in models.items():
        if model.model_class != "EMBEDDING":
            problems.add(
                ("search", "models"),
                f"names {full_name}, which is of class {model.model_class} and gives no vectors; name models "
                "of class EMBEDDING",
            )
    sent: dict[str, Setting] = dict(search.extra)
    if search.dimensions is not None:
        sent[SIZE] = search.dimensions
    dimensions = [dimension_of(name, one) for name, one in (*sent.items(), *search.local().items())]
    _check_local(dimensions, problems)
    _refuse_unshortened(search, models, problems)
    made = {
        name: (*_fitting(model, dimensions, problems), *([types[name]] if name in types else ()))
        for name, model in models.items()
    }
    if search.sampler == "grid":
        refuse_endless(made, problems)
    first = prompts[0] if prompts else ""
    return Space(
        models=tuple(models),
        prompts=tuple(prompts),
        dimensions=made,
        defaults={name: _default(name, first, made[name]) for name in models},
    )


def unshortened(search: SearchSpec, models: Mapping[str, Model]) -> list[str]:
    """What to say of models whose vectors have their own length whatever is searched."""
    if search.dimensions is None:
        return []
    return [f"no dimensions: {name} does not take it" for name in models if not _shortens(models[name])]


def unasked(search: VectorSearchSpec, problems: Problems) -> None:
    """Note what is searched of vectors in a task that has none."""
    for name in (SIZE, "input_type", *LOCAL):
        if getattr(search, name) is not None:
            problems.add(
                ("search", name),
                f"belongs to embedding models, and the task has no `kind`; remove it, or write search.extra."
                f"{name} where a model takes a parameter of this name",
            )


def _fitting(model: Model, dimensions: Sequence[Dimension], problems: Problems) -> Sequence[Dimension]:
    """The dimensions as this model has them: vectors and pieces no longer than it gives and takes."""
    longest_text = longest_prompt(model, 0, None)
    for name, most, gives in (
        (SIZE, model.dimensions if _shortens(model) else None, "gives {} numbers at most"),
        ("chunk_tokens", longest_text, "takes texts of {} tokens at most"),
    ):
        asked = max((size for one in dimensions if one.name == name for size in _numbers(one)), default=0)
        if most is not None and asked > most:
            problems.add(("search", name), f"holds {asked:g}, but {model.full_name} {gives.format(most)}")
    return [one for one in dimensions if one.name != SIZE or _shortens(model)]


def _shortens(model: Model) -> bool:
    """Whether the model can be asked for shorter vectors."""
    return SIZE in model.settings


def _refuse_unshortened(search: SearchSpec, models: Mapping[str, Model], problems: Problems) -> None:
    """Note a length of vectors that no model can be asked for; beside others, such a model has its own."""
    if search.dimensions is not None and models and not any(_shortens(one) for one in models.values()):
        listed = " and ".join(models)
        problems.add(
            ("search", SIZE),
            f"is for models that can shorten their vectors, and {listed} takes no such setting; remove it",
        )


def _numbers(dimension: Dimension) -> list[float]:
    if isinstance(dimension, Range):
        return [dimension.low, dimension.high]
    return [one for one in dimension.values if isinstance(one, int | float)]


def _check_local(dimensions: Sequence[Dimension], problems: Problems) -> None:
    named = {dimension.name: dimension for dimension in dimensions}
    for name, words in (("split_by", SPLITS), ("pooling", POOLINGS)):
        found = named.get(name)
        for value in found.values if isinstance(found, Choices) else ():
            if value not in words:
                problems.add(("search", name), f"holds {shown(value)}, expected {' or '.join(words)}")
    cosines = _numbers(named["threshold"]) if "threshold" in named else []
    if any(not -1 <= cosine <= 1 for cosine in cosines):
        problems.add(("search", "threshold"), "holds what is no cosine; expected numbers from -1 to 1")
    overlap, size = named.get("chunk_overlap"), named.get("chunk_tokens")
    if overlap is None:
        return
    laps = _numbers(overlap)
    if len(laps) < len(getattr(overlap, "values", laps)) or any(lap != int(lap) or lap < 0 for lap in laps):
        problems.add(("search", "chunk_overlap"), "holds what is no number of tokens; expected 0 or more")
    elif size is None:
        problems.add(("search", "chunk_overlap"), "needs search.chunk_tokens, the size that texts are cut to")
    elif 2 * max(laps, default=0) > min(_numbers(size)):
        problems.add(
            ("search", "chunk_overlap"),
            f"goes up to {max(laps):g} tokens, and search.chunk_tokens begins at {min(_numbers(size)):g}: a "
            "piece may repeat half of its tokens at most",
        )


def _start(dimension: Dimension) -> JsonValue:
    """The untuned value: texts as whole as can be, and else the first one."""
    if dimension.name == "chunk_tokens":
        return max(_numbers(dimension))
    return starting_value(dimension, None)


def _default(model: str, prompt: str, dimensions: Sequence[Dimension]) -> Settings:
    values = {dimension.name: _start(dimension) for dimension in dimensions}
    local: dict[str, JsonValue] = {name: value for name, value in values.items() if name in LOCAL}
    sent = {name: value for name, value in values.items() if name not in LOCAL and value is not None}
    return replace(Settings(model=model, prompt=prompt), extra=sent, local=local)
