"""A task with `kind`, looked up: its metric, its templates, its corpus, and whether its rows will do.

In: the task of a spec, and models. Out: prompts and an `Embedding`; faults are noted with their place. Must
not send anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from harness.catalogue.models import Model
from harness.errors import DataError, UsageError
from harness.plan.columns import Fault, Row, no_target
from harness.plan.corpus import Corpus, Fields, open_corpus
from harness.plan.data_source import find_rows
from harness.plan.embedding import Embedding, alike, target_fault
from harness.plan.embedding_spec import THE_TEXT, EmbeddingTaskSpec, VectorSearchSpec
from harness.plan.input_types import documented
from harness.plan.lengths import LengthCheck, longest_prompts
from harness.plan.problems import Problems, suggestion
from harness.plan.rows import RowCheck, Rows, Selection
from harness.plan.task_draft import read_rows
from harness.plan.templates import ONLY_VARIANT, TemplateCheck, read_variants
from harness.plan.yaml_source import YamlSource
from harness.prompts import Prompt
from harness.records import Settings
from harness.scores.metrics import Metric
from harness.scores.vector_metrics import vector_metric


class EmbeddingDraft:
    """An embedding task in the making. prompts: by variant. models: those that may embed.

    cut: whether texts are cut to size, so that none is too long.
    """

    def __init__(
        self,
        task: EmbeddingTaskSpec,
        source: YamlSource,
        folder: Path,
        cache: Path,
        problems: Problems,
        *,
        cut: bool,
    ) -> None:
        self.task = task
        self._folder, self._cache, self._problems, self._cut = folder, cache, problems, cut
        self.prompts = read_variants(("task", "prompt"), task.prompt, source, folder, problems)
        self._documents = _documents(task, self.prompts, source, folder, problems)
        self._metric = self._find_metric()
        for place, prompt in [("prompt", one) for one in self.prompts.values()] + [
            ("document", one) for one in self._documents.values()
        ]:
            if len(prompt.turns) != 1 or prompt.takes_shots:
                problems.add(
                    ("task", place),
                    "makes more than one message, and a text is embedded as it is; write one text, without "
                    "system:, user:, assistant: or shots:",
                )

    def found(self, models: Mapping[str, Model]) -> Embedding | None:
        """The task, its corpus read and checked; `None` when something of it is wrong."""
        task, metric = self.task, self._metric
        corpus = self._open_corpus(models) if task.corpus is not None else None
        if metric is None or (task.corpus is not None and corpus is None):
            return None
        return Embedding(
            kind=task.kind,
            metric=metric,
            texts=(task.texts[0], task.texts[1]),
            corpus=corpus,
            documents=self._documents,
            false_hit_rate=task.false_hit_rate,
            false_hits_of=task.false_hits_of,
            usd_per_answer=task.usd_per_answer,
        )

    def rows(self, embedding: Embedding, models: Mapping[str, Model], selection: Selection) -> Rows | None:
        """The rows, read and checked; `None` when something is wrong with one, or with all together."""
        check, fault = self._row_check(embedding, models)
        find, problems = (self._folder, self._cache), self._problems
        rows = read_rows(self.task, selection, find, problems, check=check, fault=fault)
        target = None if rows is None else alike(embedding, rows, "all")
        if target is None:
            return rows
        problems.add(
            ("task", "dataset"),
            f"names rows that all have the target {target}: whatever the model, there is nothing to tell "
            "apart; add rows with other targets",
        )
        return None

    def _row_check(self, embedding: Embedding, models: Mapping[str, Model]) -> tuple[TemplateCheck, RowCheck]:
        """What tells of a row why it will not do, and the part of it that has to be finished."""
        check, lengths = TemplateCheck(self.prompts), self._lengths(self.prompts, models)

        def fault(row: Row) -> str | Fault | None:
            for name in embedding.texts if embedding.of_pairs else ():
                if not isinstance(row.inputs.get(name), str):
                    have = ", ".join(repr(one) for one in row.inputs) or "none"
                    return (
                        f"has no text {name!r}; its inputs are {have}. Name the two of a pair as "
                        "task.texts: [first, second]"
                    )
            names = embedding.texts if embedding.of_pairs else ("",)
            for name, inputs in zip(names, embedding.inputs(row.inputs), strict=True):
                message = _blank(self.prompts, inputs, name) or check.row(inputs) or lengths.row(inputs)
                if message is not None:
                    return message
            if row.target is None:
                return no_target(row, f"a task of kind {embedding.kind}")
            return target_fault(embedding.kind, row.target, embedding.corpus)

        return check, fault

    def refuse_idle_top_k(self, search: VectorSearchSpec) -> None:
        """Note a `top_k` that changes no figure, so that trials would differ in name alone."""
        metric = self._metric
        if search.top_k is None or metric is None:
            return
        if self.task.kind != "retrieval":
            fault = f"is for tasks of kind retrieval, and this one is of kind {self.task.kind}; remove it"
        elif metric.argument:
            fault = (
                f"changes nothing beside the metric {metric.name}, which always looks at {metric.argument} "
                f"documents; write task.metric: {metric.kind}, or remove search.top_k"
            )
        else:
            return
        self._problems.add(("search", "top_k"), fault)

    def _open_corpus(self, models: Mapping[str, Model]) -> Corpus | None:
        problems, check = self._problems, TemplateCheck(self._documents)
        lengths = self._lengths(self._documents, models)

        def fault(fields: Fields) -> str | None:
            return _blank(self._documents, fields) or check.row(fields) or lengths.row(fields)

        try:
            return open_corpus(find_rows(str(self.task.corpus), self._folder, self._cache), fault)
        except UsageError as error:
            problems.add(("task", "corpus"), str(error))
        except DataError as error:
            problems.extend(error.problems)
        finally:
            problems.extend(check.finish())
        return None

    def _lengths(self, prompts: Mapping[str, Prompt], models: Mapping[str, Model]) -> LengthCheck:
        limits = {} if self._cut else longest_prompts(models, 0, None)
        return LengthCheck(prompts, list(models.values()), limits)

    def _find_metric(self) -> Metric | None:
        try:
            return vector_metric(self.task.kind, self.task.metric)
        except UsageError as error:
            self._problems.add(("task", "metric"), str(error))
            return None


def _blank(prompts: Mapping[str, Prompt], fields: Fields, called: str = "") -> str | None:
    """Why nothing is there to embed: no field that a prompt names holds text. called: what a row calls it."""
    for prompt in prompts.values():
        named = sorted(prompt.fields & fields.keys())
        if named and all(fields[name] is None or not str(fields[name]).strip() for name in named):
            listed = " and ".join(repr(called or name) for name in named)
            return f"has no text to embed, for {listed} is blank; give it text, or remove the row"
    return None


def _documents(
    task: EmbeddingTaskSpec,
    prompts: Mapping[str, Prompt],
    source: YamlSource,
    folder: Path,
    problems: Problems,
) -> dict[str, Prompt]:
    """How a document is embedded beside each prompt; nothing in a task without a corpus."""
    if task.corpus is None:
        return {}
    plain = Prompt.parse(THE_TEXT, file="<default>")
    if task.document is None:
        return dict.fromkeys(prompts, plain)
    written = read_variants(("task", "document"), task.document, source, folder, problems)
    if isinstance(task.document, str):
        return dict.fromkeys(prompts, written[ONLY_VARIANT]) if written else {}
    for name in written:
        if name not in prompts:
            problems.add(
                ("task", "document", name), f"is no variant of task.prompt; {suggestion(name, prompts)}"
            )
    return {name: written.get(name, plain) for name in prompts}


def giving_vectors(fallback: Mapping[str, Model], problems: Problems) -> Mapping[str, Model]:
    """The models of `fallback` that give vectors; others are noted."""
    for name, model in fallback.items():
        if model.model_class != "EMBEDDING":
            problems.add(
                ("fallback",),
                f"names {name}, which is of class {model.model_class} and gives no vectors; name models of "
                "class EMBEDDING",
            )
    return {name: model for name, model in fallback.items() if model.model_class == "EMBEDDING"}


def fallen_back(
    embedding: Embedding, settings: Settings, model: Model, models: Mapping[str, Model], *, typed: bool
) -> Embedding:
    """The task with what an evaluation of these settings goes on with, once their model cannot be asked.

    typed: whether a fallback is told what texts are for, as its provider documents it. It keeps prompt and
    local settings. What was sent belongs to the model that it was sent to, and a threshold to its vectors:
    both are left behind. Raises UsageError for models that give no vectors.
    """
    for one in (model, *models.values()):
        if one.model_class != "EMBEDDING":
            raise UsageError(f"{one.full_name} is of class {one.model_class} and gives no vectors")
    local = {name: value for name, value in settings.local.items() if name != "threshold"}
    others = [name for name in models if name != model.full_name]
    return replace(
        embedding,
        fallback=tuple(
            Settings(
                model=name,
                prompt=settings.prompt,
                extra=documented(models[name], embedding.kind) if typed else {},
                local=local,
            )
            for name in others
        ),
    )
