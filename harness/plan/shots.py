"""Examples that a prompt shows before its question: of the search split, and never the sample in question.

In: rows, and how many examples are wanted. Out: prompt variants, one for each number, with a pool that each
sample takes its examples from. The confirm split is never looked at.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from harness.fingerprint import canonical, share
from harness.plan.problems import Problems
from harness.plan.ranges import WholeOptions, WholeRange, WholeSetting
from harness.plan.rows import Rows
from harness.prompts import SHOTS, Prompt, Shot
from harness.records import Sample
from harness.scores.answer import target_texts

MOST_NUMBERS = 8  # each makes a variant of every prompt
POOL = 64  # samples that examples are taken from, or four for each that is wanted
PLACE = ("search", "n_shots")


@dataclass(frozen=True, slots=True)
class Shots:
    """The examples of one prompt variant. n: how many; pool: in the order in which they are taken."""

    n: int
    pool: tuple[Sample, ...]

    def of(self, sample: Sample) -> tuple[Shot, ...]:
        """The first `n` that are neither this sample, nor of its group, nor the same in other clothes."""
        others = (one for one in self.pool if not _kin(one, sample))
        return tuple(_shot(one) for one, _ in zip(others, range(self.n), strict=False))

    def first(self) -> tuple[Shot, ...]:
        """Those that a question of no sample would show."""
        return tuple(_shot(one) for one in self.pool[: self.n])


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotVariants:
    """Prompts with as many examples as they show, by variant. shots: of those that show some."""

    prompts: Mapping[str, Prompt]
    shots: Mapping[str, Shots] = field(default_factory=dict[str, Shots])


def shot_variants(
    setting: WholeSetting | None,
    prompts: Mapping[str, Prompt],
    rows: Rows | None,
    seed: int,
    problems: Problems,
    *,
    shown: Collection[str],
) -> ShotVariants:
    """Every prompt with every number of examples; faults are noted.

    shown: the prompts that show examples, in this task or in another one, where a prompt without a place for
    them is the same in all variants. Others are asked without, and have one variant.

    Variants are called `prompt-4-shots`, and keep their name where there is one number only. Targets take
    turns among the examples, so that no label is missing where there is room for all.
    """
    numbers = _numbers(setting)
    _require_places(setting, prompts, shown, problems)
    if len(numbers) > MOST_NUMBERS or min(numbers) < 0:
        problems.add(
            PLACE, f"asks for {len(numbers)} numbers from {min(numbers)}; give 1 to 8 of them, from 0"
        )
        return ShotVariants(prompts=prompts)
    if setting is None or rows is None or not problems.none:
        return ShotVariants(prompts=prompts)
    if not any(prompt.takes_shots for prompt in prompts.values()):
        return ShotVariants(
            prompts={one: prompts[name] for name in prompts for one, _ in _variants(name, numbers, shown)}
        )
    pool = _pool(rows, max(numbers), seed)
    if SHOTS in rows.fields:
        problems.add(PLACE, "needs the variable `shots`, which is an input of the rows; rename that column")
    if max(numbers) and any(one.target is None for one in pool):
        problems.add(
            PLACE, "shows examples with their targets, but rows have none; add targets, or remove it"
        )
    fewest = len(pool) - _largest_kin(pool)
    if fewest < max(numbers):
        problems.add(
            PLACE,
            f"asks for {max(numbers)} examples, but for some samples only {fewest} of the search split are "
            "neither themselves nor of their group; ask for fewer, or add rows",
        )
    variants: dict[str, Prompt] = {}
    shots: dict[str, Shots] = {}
    for name, prompt in prompts.items():
        for variant, n in _variants(name, numbers, shown):
            variants[variant] = prompt
            if prompt.takes_shots:
                shots[variant] = Shots(n, pool)
    return ShotVariants(prompts=variants, shots=shots)


def _numbers(setting: WholeSetting | None) -> tuple[int, ...]:
    if isinstance(setting, WholeRange):
        return tuple(range(setting.low, setting.high + 1, setting.step or 1))
    if isinstance(setting, WholeOptions):
        return tuple(sorted(setting.choices))
    return (setting or 0,)


def _variants(prompt: str, numbers: Sequence[int], shown: Collection[str]) -> list[tuple[str, int]]:
    """What the variants of a prompt are called, and how many examples each of them shows."""
    if prompt not in shown:
        return [(prompt, 0)]
    return [(prompt if len(numbers) == 1 else f"{prompt}-{n}-shots", n) for n in numbers]


def _require_places(
    setting: WholeSetting | None, prompts: Mapping[str, Prompt], shown: Collection[str], problems: Problems
) -> None:
    if setting is not None and prompts and not shown:
        problems.add(
            PLACE,
            f"is given, but prompt {next(iter(prompts))!r} has no place for examples; write a line `shots:` "
            "in it",
        )
    for name, prompt in prompts.items():
        if setting is None and prompt.shots_at is not None:
            problems.add(
                ("task", "prompt"),
                f"{name!r} has a place for examples, but search.n_shots does not say how many; give it",
            )


def _pool(rows: Rows, most: int, seed: int) -> tuple[Sample, ...]:
    ids = sorted(rows.ids("search"), key=lambda sample_id: share(seed, SHOTS, sample_id))
    pool = [rows.sample(sample_id) for sample_id in ids[: max(POOL, 4 * most)]]
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, Sample]] = []
    for place, sample in enumerate(pool):
        key = canonical(sample.target)
        turns[key] = turns.get(key, -1) + 1
        ranked.append((turns[key], place, sample))
    return tuple(sample for _, _, sample in sorted(ranked, key=lambda one: one[:2]))


def _largest_kin(pool: Sequence[Sample]) -> int:
    return max((sum(_kin(one, sample) for one in pool) for sample in pool), default=0)


def _kin(one: Sample, sample: Sample) -> bool:
    alike = one.group is not None and one.group == sample.group
    return one.id == sample.id or alike or one.inputs == sample.inputs


def _shot(sample: Sample) -> Shot:
    texts = target_texts(sample.target)
    return Shot(sample.inputs, texts[0] if texts else json.dumps(sample.target, ensure_ascii=False))
