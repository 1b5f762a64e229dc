"""One task of a plan in the making: its prompts, scorers, judges, rows and examples, looked up.

In: the task of a spec and where its files are. Out: a `Task`; faults are noted on the way. Several tasks
become one that is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from harness.catalogue.models import Catalogue, Model
from harness.errors import DataError, Problem, UsageError
from harness.plan.columns import COLUMNS, Fault, Row
from harness.plan.data_source import find_rows
from harness.plan.embedding import Embedding
from harness.plan.embedding_spec import EmbeddingTaskSpec
from harness.plan.joined import JoinedRows, prefix_of
from harness.plan.judging import Panel, find_panel
from harness.plan.lengths import LengthCheck, longest_prompts
from harness.plan.long_inputs import LongInputs, LongInputsCheck, find_long_inputs
from harness.plan.problems import Problems
from harness.plan.row_faults import LISTED_PROBLEMS, EveryRowError
from harness.plan.rows import RowCheck, Rows, Selection, open_rows
from harness.plan.scoring import MetricCheck, find_scorers
from harness.plan.shots import Shots, shot_variants
from harness.plan.space import form_of
from harness.plan.spec import SchemaSpec, SearchSpec, TaskSpec, task_weight
from harness.plan.spec_reader import SpecReading
from harness.plan.targets import TargetCheck
from harness.plan.task import Task
from harness.plan.templates import ONLY_VARIANT, TemplateCheck, read_prompts
from harness.prompts import Prompt
from harness.scores.combined import judges_in
from harness.scores.judge import Judge
from harness.scores.own import Permission
from harness.scores.scorer import RepeatScorer, Scorer

SEVERAL_METRICS = "weighted mean"


@dataclass(slots=True)
class TaskDraft:
    """What is known of a task so far. name: "" for the only one."""

    name: str
    spec: TaskSpec
    problems: Problems
    prompts: dict[str, Prompt] = field(default_factory=dict[str, Prompt])
    scorers: tuple[Scorer | Judge, ...] = ()
    repeat_scorers: tuple[RepeatScorer, ...] = ()
    panel: Panel = field(default_factory=Panel)
    rows: Rows | None = None
    shots: Mapping[str, Shots] = field(default_factory=dict[str, Shots])
    lengths: LengthCheck | None = None
    long: LongInputs | None = None
    notes: list[str] = field(default_factory=list[str])

    @classmethod
    def of(
        cls, name: str, reading: SpecReading, catalogue: Catalogue, folder: Path, permission: Permission
    ) -> TaskDraft:
        """The draft of this task with its prompts, scorers and judges."""
        problems, spec = reading.problems.of_task(name), (reading.tasks or {})[name]
        draft = cls(name, spec, problems)
        draft.scorers, draft.repeat_scorers = find_scorers(spec, permission, problems)
        draft.panel = find_panel(draft.scorers, spec.scorers, catalogue, folder, problems)
        draft.scorers = draft.panel.named(draft.scorers)
        home = ("tasks", name) if name else ("task",)
        draft.prompts = read_prompts(spec, reading.source, folder, problems, home)
        draft.long = find_long_inputs(spec.long_inputs, draft.prompts, reading.source, folder, problems)
        return draft

    def open_rows(
        self, models: Mapping[str, Model], selection: Selection, find: tuple[Path, Path], least: int
    ) -> None:
        """Read the rows, and hold them against prompts, scorers, metric and models.

        selection: without what the task itself says. find: folders of the spec and of converted files. least:
        the shortest answer that is asked for, in tokens.
        """
        spec, problems = self.spec, self.problems
        selection = replace(selection, prefix=prefix_of(self.name) if self.name else "")
        check, metric = TemplateCheck(self.prompts), MetricCheck(spec, self.scorers, problems)
        long = LongInputsCheck(self.long)
        fault = self._row_check(check, long, metric, models, least)
        self.rows = read_rows(spec, selection, find, problems, check=check, fault=fault)
        problems.extend(long.finish())
        self.notes += [f"task {self.name}: {note}" if self.name else note for note in long.notes()]
        if self.rows is not None:
            metric.finish()
            self.notes += [f"task {self.name}: {note}" if self.name else note for note in metric.notes()]

    def further_scorers(self) -> list[str]:
        """What scorers beside the first one are called in a record."""
        names = [one.name for one in (*self.scorers[1:], *self.repeat_scorers)]
        return [f"{prefix_of(self.name)}{name}" if self.name else name for name in names]

    @property
    def shows_examples(self) -> list[str]:
        """The prompts that have a place for examples."""
        return [name for name, prompt in self.prompts.items() if prompt.takes_shots]

    def show_examples(self, search: SearchSpec, seed: int, shown: Collection[str]) -> None:
        """Make every prompt a variant for each number of examples. shown: that show them in any task."""
        found = shot_variants(search.n_shots, self.prompts, self.rows, seed, self.problems, shown=shown)
        bare = [repr(name) for name in self.prompts if name not in shown]
        if search.n_shots is not None and bare:
            self.notes.append(f"no place for examples in prompt {', '.join(bare)}: it is asked without any")
        if self.rows is not None and self.lengths is not None:
            self.problems.extend(tuple(islice(self.lengths.with_shots(found, self.rows), LISTED_PROBLEMS)))
        self.prompts, self.shots = dict(found.prompts), found.shots

    def narrow(self, variant: str) -> None:
        """Leave one prompt variant."""
        self.prompts = {variant: self.prompts[variant]}

    def task(self, experiment: str) -> Task:
        """The finished task, called as the experiment where it is the only one."""
        if self.rows is None:
            raise AssertionError("a plan is made only when no fault was found")
        return Task(
            name=self.name or experiment,
            rows=self.rows,
            prompts=self.prompts,
            scorers=self.scorers,
            repeat_scorers=self.repeat_scorers,
            slices=None if self.spec.slices is None else tuple(self.spec.slices),
            metric=self.spec.metric,
            repeats=self.spec.repeats,
            scorer_forms=tuple(self.spec.scorers),
            labelled=self.panel.labelled,
            shots={name: shots for name, shots in self.shots.items() if name in self.prompts},
            weight=task_weight(self.spec),
            long_inputs=self.long,
        )

    def _row_check(
        self,
        check: TemplateCheck,
        long: LongInputsCheck,
        metric: MetricCheck,
        models: Mapping[str, Model],
        least: int,
    ) -> RowCheck:
        targets = TargetCheck(self.scorers)
        longest = longest_prompts(models, least, self.spec.max_input_tokens)
        output = self.spec.output
        form = form_of(output) if isinstance(output, SchemaSpec) else None
        lengths = LengthCheck(self.prompts, list(models.values()), longest, self.long, form=form)
        self.lengths = lengths

        def fault(row: Row) -> str | Fault | None:
            inputs = row.inputs
            of_inputs = check.row(inputs) or long.row(inputs) or lengths.row(inputs)
            for piece in long.parts(inputs) if of_inputs is None else ():
                of_inputs = of_inputs or check.row(piece)
            return of_inputs or targets.row(row) or metric.row(row)

        return fault


def read_rows(
    spec: TaskSpec | EmbeddingTaskSpec,
    selection: Selection,
    find: tuple[Path, Path],
    problems: Problems,
    *,
    check: TemplateCheck,
    fault: RowCheck,
) -> Rows | None:
    """The rows of a task, each held against `fault`; problems are noted, those of `check` as well.

    selection: without what the task itself says. find: folders of the spec and of converted files.
    """
    selection = replace(selection, limit=spec.limit, stratify=spec.stratify)
    try:
        return open_rows(find_rows(spec.dataset, *find, spec.columns), selection, fault)
    except UsageError as error:
        problems.add(("task", "dataset"), str(error))
    except EveryRowError as error:
        _note_every_row(error, spec, problems)
    except DataError as error:
        problems.extend(error.problems)
    finally:
        problems.extend(check.finish())
    return None


def _note_every_row(error: EveryRowError, spec: TaskSpec | EmbeddingTaskSpec, problems: Problems) -> None:
    """Note once what is wrong with all rows, where it is to be mended."""
    fault, place = error.fault, error.columns_at
    message = f"fits none of the {error.count} rows of {error.problems[0].file}: each {fault.message}"
    if fault.spec == COLUMNS and place is not None:
        problems.extend([Problem(*place, "columns", message)])
    elif fault.spec and (fault.spec != COLUMNS or spec.columns is not None):
        problems.add(fault.spec, message)
    else:
        problems.extend(error.problems)


def vector_task(
    name: str, spec: EmbeddingTaskSpec, embedding: Embedding, prompts: Mapping[str, Prompt], rows: Rows
) -> Task:
    """The task of embedding models."""
    return Task(
        name=name,
        rows=rows,
        prompts=prompts,
        scorers=(),
        slices=None if spec.slices is None else tuple(spec.slices),
        metric=embedding.metric.name,
        repeats=1,
        embedding=embedding,
    )


def agree(drafts: Sequence[TaskDraft]) -> None:
    """Note what tasks of one experiment may not differ in, and give each task all prompt variants.

    Settings are one set for all tasks, the prompt variant and what is sent among them: a task with one prompt
    has it in every variant.
    """
    first = drafts[0]
    named = next((one for one in drafts if list(one.prompts) != [ONLY_VARIANT]), first)
    judges: dict[str, tuple[str, Judge]] = {}
    for draft in drafts:
        for key in ("repeats", "output"):
            if getattr(draft.spec, key) != getattr(first.spec, key):
                draft.problems.add(
                    ("task", key), f"differs from that of task {first.name!r}, and is one for all tasks"
                )
        if list(draft.prompts) == [ONLY_VARIANT]:
            draft.prompts = dict.fromkeys(named.prompts, draft.prompts[ONLY_VARIANT])
        elif draft.prompts.keys() != named.prompts.keys():
            draft.problems.add(
                ("task", "prompt"),
                f"has the variants {', '.join(draft.prompts)}, and task {named.name!r} has "
                f"{', '.join(named.prompts)}; a variant is chosen for all tasks: give them the same names, "
                "or a task one prompt for all",
            )
        for judge in (judge for one in draft.scorers for judge in judges_in(one)):
            other, known = judges.setdefault(judge.name, (draft.name, judge))
            if known != judge:
                draft.problems.add(
                    ("task", "scorers"),
                    f"has a judge {judge.name!r}, and task {other!r} has another one of that name; give it a "
                    "name of its own",
                )


def joined(experiment: str, drafts: Sequence[TaskDraft]) -> Task:
    """The task of a plan: the only one, or one made of all.

    Raises UsageError when the weights leave a task fewer than 2 samples in a split.
    """
    tasks = [draft.task(experiment) for draft in drafts]
    if len(tasks) == 1 and not drafts[0].name:
        return tasks[0]
    total = math.fsum(task.weight for task in tasks)
    parts = tuple(replace(task, weight=task.weight / total) for task in tasks)
    metrics = {task.metric for task in parts}
    rows = {draft.name: draft.rows for draft in drafts if draft.rows is not None}
    return Task(
        name=experiment,
        rows=JoinedRows(rows, {task.name: task.weight for task in parts}),
        prompts=parts[0].prompts,
        scorers=(),
        metric=metrics.pop() if len(metrics) == 1 else SEVERAL_METRICS,
        repeats=parts[0].repeats,
        labelled={name: known for task in parts for name, known in task.labelled.items()},
        parts=parts,
    )


def row_notes(task: Task) -> list[str]:
    """What a reader of a plan should know of its rows."""
    if not isinstance(task.rows, JoinedRows):
        return list(task.rows.notes)
    found = [
        f"task {name}: {used} of {there} samples are asked, so that each task has the share of samples that "
        "its weight gives it"
        for name, (used, there) in task.rows.left_out().items()
    ]
    same: dict[str, list[str]] = {}
    for part in task.parts:
        if isinstance(part.rows, Rows):
            found += [f"task {part.name}: {note}" for note in part.rows.notes]
        same.setdefault(part.rows.card.sha256, []).append(part.name)
    return found + [
        f"tasks {' and '.join(names)} ask about the same rows: intervals take tasks as independent, and may "
        "be too narrow"
        for names in same.values()
        if len(names) > 1
    ]


def one_panel(drafts: Sequence[TaskDraft]) -> Panel:
    """The judges of all tasks, those that are equal once."""
    panels = [draft.panel for draft in drafts]
    return Panel(
        models={name: model for panel in panels for name, model in panel.models.items()},
        judges={name: judge for panel in panels for name, judge in panel.judges.items()},
        labelled={name: known for panel in panels for name, known in panel.labelled.items()},
    )
