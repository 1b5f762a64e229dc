"""From a spec to a plan: everything is looked up here, and all faults are told at once.

In: a spec file, a mapping or a `Spec`, and what the command line overrides. Out: a `Plan`. Reads files
only: nothing is sent, and no key is looked at.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack, cast

from harness.catalogue.models import Catalogue, Model, load_catalogue
from harness.errors import SpecError, UsageError
from harness.plan.aim_spec import AimSpec
from harness.plan.aims import aim_of, notes_of
from harness.plan.answer_room import beside_prompts
from harness.plan.data_source import CACHE_FOLDER, rows_missing
from harness.plan.embedding import Embedding
from harness.plan.embedding_spec import NONE, EmbeddingTaskSpec
from harness.plan.embedding_task import EmbeddingDraft, fallen_back, giving_vectors
from harness.plan.frames import with_rows_written
from harness.plan.gate_spec import check_gate, gate_of
from harness.plan.given import Given, read_given
from harness.plan.input_types import input_types, told, untold
from harness.plan.judging import Panel
from harness.plan.lookup import ended, find_models, make_endpoints, with_own_entries, with_own_files
from harness.plan.mapping import note_unsent
from harness.plan.near_answers import find_near, refuse_near
from harness.plan.overrides import Overrides, overridden, refuse_overrides
from harness.plan.own_scorers import lifted
from harness.plan.pairs import pair_notes
from harness.plan.plan import Budget, Evaluated, NearAnswers, Plan, Sampler, Space
from harness.plan.rows import Rows, Selection
from harness.plan.samplers import chosen_sampler, is_repeatable, rehearse
from harness.plan.space import absences, answers_asked, asking_for, caveats, limits_of, make_space, one_point
from harness.plan.spec import SearchSpec, Spec
from harness.plan.spec_reader import SpecReading, read_spec
from harness.plan.task import Task
from harness.plan.task_draft import TaskDraft, agree, joined, one_panel, row_notes, vector_task
from harness.plan.vector_space import make_vector_space, unasked, unshortened
from harness.plan.warm_start import Sources, find_presets, find_warm, from_pinned, pinned_form
from harness.prompts import Prompt
from harness.records import JsonValue, Split
from harness.scores.own import Permission
from harness.store.store import Store, open_store

UNTUNED = "the untuned default"


def make_plan(
    spec: Path | str | Mapping[str, object] | Spec,
    *,
    base: Path | None = None,
    catalogue: Catalogue | None = None,
    cache: Path = CACHE_FOLDER,
    store: Store | str | None = None,
    **overrides: Unpack[Overrides],
) -> Plan:
    """The plan of a spec. Spends nothing and reads files only.

    base: folder that relative paths start from; default that of the spec, or the working folder.
    cache: folder for converted data files, and for rows that a mapping holds in place of a data set's name.
    store: where `search.warm_start` finds earlier runs, open or as a URL; `None`: HARNESS_STORE. overrides:
    see `overrides.Overrides`. Raises SpecError with every fault found, UsageError for a senseless override.
    """
    refuse_overrides(overrides)
    if isinstance(spec, Mapping):
        spec = with_rows_written(spec, cache)
    plain, given = lifted(spec, overrides.get("scorers") or ())
    permission = Permission(allow_code=bool(overrides.get("allow_code")), given=given)
    reading = overridden(read_spec(cast("Path | str | Mapping[str, object] | Spec", plain)), overrides)
    folder = base or (Path() if isinstance(spec, Mapping | Spec) else Path(spec).parent)
    draft = _Draft(reading, catalogue or load_catalogue(), folder, cache, permission)
    draft.look_up()
    check_gate(reading, [name for task in draft.tasks for name in task.further_scorers()])
    split, given = overrides.get("split"), overrides.get("settings")
    searches = split is None and given is None
    if searches:
        draft.prepare_search(overrides, store)
    reading.problems.raise_any()
    if not searches:
        draft.narrow(split or "all", given)
    spec_file = None if isinstance(spec, Mapping | Spec) else str(spec)
    return draft.plan(spec_file, overrides.get("max_concurrency"))


def data_fingerprint(
    spec: Path | str | Mapping[str, object], *, cache: Path = CACHE_FOLDER, **overrides: Unpack[Overrides]
) -> str | None:
    """The fingerprint of the rows of a spec alone, whatever else of it is sound; `None`: no file of them is.

    Raises SpecError when the rows are there and cannot be used: they are not those that a definition pins,
    or a template cannot take them.
    """
    reading = overridden(read_spec(spec), overrides)
    folder = Path() if isinstance(spec, Mapping) else Path(spec).parent
    asked = [*(reading.tasks or {}).values(), *([] if reading.vectors is None else [reading.vectors])]
    if any(rows_missing(task.dataset, folder) for task in asked):
        return None
    draft = _Draft(reading, load_catalogue(), folder, cache, Permission())
    draft.look_up()
    task = draft.joined("")
    if task is None:
        raise SpecError(reading.problems.found)
    return task.rows.fingerprint()


class _Draft:
    """A plan in the making: what is known so far, and the faults found on the way."""

    def __init__(
        self,
        reading: SpecReading,
        catalogue: Catalogue,
        folder: Path,
        cache: Path,
        permission: Permission,
    ) -> None:
        self.reading = reading
        self.folder = folder
        self.cache = cache
        self.shipped = catalogue
        own = with_own_files(catalogue, reading.catalogue or (), folder, reading.problems)
        self.catalogue = with_own_entries(own, reading.providers or {}, reading.problems)
        self.models: dict[str, Model] = {}
        self.fitting: dict[str, Model] = {}
        self.permission = permission
        self.tasks: list[TaskDraft] = []
        self.panel = Panel()
        self.prompts: dict[str, Prompt] = {}
        self.rows: Rows | None = None
        self.embedding: Embedding | None = None
        self.fallback: dict[str, Model] = {}
        self.near: NearAnswers | None = None
        self.space: Space | None = None
        self.sampler = Sampler()
        self.notes: list[str] = []
        self.pins: dict[str, JsonValue] = {}
        self.evaluated: Evaluated | None = None

    def look_up(self) -> None:
        """Ask catalogue, templates, scorers and data, whatever of them the spec names soundly."""
        search, problems = self.reading.search, self.reading.problems
        if self.reading.vectors is not None:
            return self._look_up_vectors(self.reading.vectors)
        if self.reading.spec is not None and self.reading.spec.fallback:
            problems.add(("fallback",), "is for tasks with `kind`, of embedding models; remove it")
        self.near = find_near(self.reading, self.catalogue)
        self.tasks = [
            TaskDraft.of(name, self.reading, self.catalogue, self.folder, self.permission)
            for name in self.reading.tasks or ()
        ]
        self.panel = one_panel(self.tasks)
        if search is not None:
            self.models = find_models(search.models, self.catalogue, problems)
        if len(self.tasks) > 1:
            agree(self.tasks)
        self._open_rows()
        if search is not None:
            seed = self.reading.spec.seed if self.reading.spec else 0
            shown = {name for task in self.tasks for name in task.shows_examples}
            for task in self.tasks:
                task.show_examples(search, seed, shown)
            self.prompts = dict(self.tasks[0].prompts) if self.tasks else {}
            self.fitting = beside_prompts(self.tasks, self.models, search, self.notes)
            self.space = make_space(search, self.fitting, tuple(self.prompts), problems)
            if self.tasks:
                unasked(search, problems)
                if (output := self.tasks[0].spec.output) is not None:
                    self.space = asking_for(self.space, output)
            note_unsent(self.models, self.catalogue, self.shipped, self.space, problems)
        return self._refuse_untimed()

    def _look_up_vectors(self, task: EmbeddingTaskSpec) -> None:
        """The same for a task of embedding models."""
        search, problems = self.reading.search, self.reading.problems
        refuse_near(self.reading)
        cut = search is not None and search.chunk_tokens is not None
        draft = EmbeddingDraft(task, self.reading.source, self.folder, self.cache, problems, cut=cut)
        self.prompts = draft.prompts
        if search is not None:
            self.models = find_models(search.models, self.catalogue, problems)
            types = input_types(search, self.models, task.kind, problems)
            self.space = make_vector_space(search, self.models, tuple(self.prompts), types, problems)
            draft.refuse_idle_top_k(search)
            self.notes += [*unshortened(search, self.models), *untold(search, self.models, task.kind)]
        fallback = self.reading.spec.fallback if self.reading.spec else ()
        self.fallback = find_models(fallback, self.catalogue, problems, ("fallback",))
        asked = {**self.models, **giving_vectors(self.fallback, problems)}
        self.embedding = draft.found(asked)
        if self.embedding is not None:
            self.rows = draft.rows(self.embedding, asked, self._selection)

    def _refuse_untimed(self) -> None:
        """Note a limit on the first token for a provider that answers in one piece."""
        aim, providers = self.reading.aim, self.reading.providers or {}
        if aim is None or aim.within.first_token_p50_s is None:
            return
        streaming = {name for name, spec in providers.items() if spec.stream}
        silent = dict.fromkeys(m.provider for m in self.models.values() if m.provider not in streaming)
        for name in silent:
            self.reading.problems.add(
                ("aim", "within", "first_token_p50_s"),
                f"cannot be measured: {name} answers in one piece, and only a stream shows when the first "
                f"token came; write providers.{name}.stream: true, or remove the limit",
            )

    def narrow(self, split: Split, given: Given | None) -> None:
        """Leave one set of settings of the space, or put one in its place; only when no fault was found."""
        spec, space = self.reading.spec, self.space
        if spec is None or space is None:
            raise AssertionError("a space is narrowed only when no fault was found")
        if given is None:
            first = space.models[0]
            settings, model = space.defaults[first], self.models[first]
            self.evaluated = Evaluated(settings=settings, split=split, origin=UNTUNED)
        else:
            found = read_given(given, self.prompts, self.catalogue, experiment=spec.experiment)
            settings, model = found.settings, found.model
            chosen_by = found.recommended_by if found.experiment == spec.experiment else ""
            self.evaluated = Evaluated(
                settings=settings,
                split=split,
                origin=found.origin,
                chosen_by=chosen_by or None,
                form=found.form(),
            )
        self.space, self.models = one_point(settings), {model.full_name: model}
        if self.embedding is not None:
            typed = spec.search.input_type != NONE
            self.embedding = fallen_back(self.embedding, settings, model, self.fallback, typed=typed)
        self.prompts = {settings.prompt: self.prompts[settings.prompt]}
        for task in self.tasks:
            task.narrow(settings.prompt)

    def prepare_search(self, overrides: Overrides, store: Store | str | None) -> None:
        """Choose and try out the sampler, and look up what the search starts from."""
        search, space, problems = self.reading.search, self.space, self.reading.problems
        if search is None or space is None:
            return
        pins = overrides.get("warm")
        if pins is not None:
            self.space = replace(space, warm=from_pinned(pins))
        elif search.warm_start:
            experiment = self.reading.spec.experiment if self.reading.spec else ""
            sources = Sources(self.folder, experiment, lambda: _opened(store))
            warm, faults = find_warm(search.warm_start, space, sources)
            for place, fault in faults.items():
                problems.add(("search", "warm_start", place), fault)
            self.space = replace(space, warm=warm.settings)
            self.notes += warm.notes
            self.pins["warm"] = pinned_form(warm.settings)
        self._hold_presets(search)
        self._choose_sampler(search, overrides.get("sampler"))

    def _hold_presets(self, search: SearchSpec) -> None:
        """Put presets into the space, to be measured in any case."""
        space, problems = self.space, self.reading.problems
        if space is None or not search.presets or not space.models:
            return
        found, notes, faults = find_presets(search.presets, space)
        for place, fault in faults.items():
            problems.add(("search", "presets", place), fault)
        self.notes += notes
        self.space = replace(space, presets=found)
        if (least := len(self.space.fixed)) > search.n_trials:
            problems.add(
                ("search", "n_trials"),
                f"is {search.n_trials}, but the default and {least - 1} settings of presets are tried in any "
                f"case; write at least {least}, or ask for fewer presets",
            )

    def _choose_sampler(self, search: SearchSpec, override: Any) -> None:
        policy, problems = aim_of(self.reading.aim or AimSpec()).policy, self.reading.problems
        if search.escalate and policy.name != "floor":
            problems.add(
                ("search", "escalate"),
                f"is true, but nothing says what is good enough: the policy is {policy.words()}; write "
                "aim.policy: {floor: 0.85}, or remove escalate",
            )
        try:
            self.sampler = chosen_sampler(search.sampler, override, search.front, policy.name)
            if self.space is not None and problems.none:
                rehearse(self.sampler, self.space)
        except UsageError as error:
            if override is not None:
                raise UsageError(f"sampler {error}") from error
            problems.add(("search", "sampler"), str(error))
        if self.sampler.given is not None:
            told: JsonValue = {"name": self.sampler.name, "arguments": dict(self.sampler.arguments)}
            self.pins["sampler"] = {"given": told}
            unseeded = (
                "" if is_repeatable(self.sampler) else ", and it has no seed: it will propose others then"
            )
            self.notes.append(
                f"the sampler was given in Python ({self.sampler.name}); going on with this run takes the "
                f"same one again{unseeded}"
            )

    def plan(self, spec_file: str | None, max_concurrency: int | None) -> Plan:
        """The finished plan; only when nothing was found wrong."""
        spec, space = self.reading.spec, self.space
        task = None if spec is None else self.joined(spec.experiment)
        self.reading.problems.raise_any()
        if spec is None or task is None or space is None:
            raise AssertionError("a plan is made only when no fault was found")
        near = [] if self.near is None else [self.near.model]
        models = self.fitting.values()
        used = [*{**self.models, **self.panel.models, **self.fallback}.values(), *near]
        plan = Plan(
            experiment=spec.experiment,
            description=spec.description,
            spec_file=spec_file,
            spec_text=self.reading.source.text,
            task=task,
            space=space,
            models=self.models,
            fallback_models=self.fallback,
            near=self.near,
            endpoints=make_endpoints(used, self.catalogue, spec.providers, max_concurrency),
            aim=aim_of(spec.aim),
            budget=Budget(**spec.budget.model_dump()),
            failures=spec.failures,
            seed=spec.seed,
            n_trials=spec.search.n_trials if self.evaluated is None else 1,
            mode=spec.search.mode,
            sampler=self.sampler,
            reuse_limits=limits_of(spec.search, models) if spec.search.reuse_across_limits else (),
            escalate=spec.search.escalate and self.evaluated is None,
            optuna_storage=spec.search.optuna_storage,
            prices_as_of=min((model.as_of for model in used if model.as_of), default=self.catalogue.as_of),
            catalogue_fingerprint=self.catalogue.fingerprint(),
            notes=(
                *notes_of(spec.search, used),
                *([] if self.near is None else [self.near.why_not()]),
                *self.panel.notes(self.models),
                *self._unused(),
                *self._absences(spec.search, space),
                *told(space),
                *ended({**self.models, **self.fallback, **self.panel.models}, self.shipped),
                *row_notes(task),
                *(note for draft in self.tasks for note in draft.notes),
                *self.notes,
            ),
            pins=self.pins,
            evaluated=self.evaluated,
            judge_models=self.panel.models,
            gate=gate_of(spec.gate, self.folder),
        )
        return replace(plan, notes=(*plan.notes, *pair_notes(plan)))

    def _absences(self, search: SearchSpec, space: Space) -> list[str]:
        models = self.models | self.fitting
        absent = [] if self.evaluated is not None else absences(space, search.settings(), models)
        return [*absent, *caveats(space, self.catalogue)]

    def _unused(self) -> list[str]:
        """What of the spec this plan does not look at."""
        if not self.fallback or self.evaluated is not None:
            return []
        names = ", ".join(self.fallback)
        return [f"fallback ({names}) is not used by a search; `harness eval` and `gate` of this spec use it"]

    def joined(self, experiment: str) -> Task | None:
        """The task of the plan, of one or of several; `None` where rows are missing or too few."""
        vectors = self.reading.vectors
        if vectors is not None and self.embedding is not None and self.rows is not None:
            return vector_task(experiment, vectors, self.embedding, self.prompts, self.rows)
        if not self.tasks or any(task.rows is None for task in self.tasks):
            return None
        try:
            return joined(experiment, self.tasks)
        except UsageError as error:
            self.reading.problems.add(("tasks",), f"weights {error}")
            return None

    def _open_rows(self) -> None:
        search, models = self.reading.search, list(self.models.values())
        least = min((answers_asked(search, model)[0] for model in models), default=1) if search else 1
        for task in self.tasks:
            task.open_rows(self.models, self._selection, (self.folder, self.cache), least)

    @property
    def _selection(self) -> Selection:
        spec, aim = self.reading.spec, self.reading.aim or AimSpec()
        return Selection(confirm=aim.confirm, seed=spec.seed if spec else 0)


@contextmanager
def _opened(store: Store | str | None) -> Generator[Store]:
    """The store that is given, or the one at its URL for as long as it is needed."""
    if isinstance(store, Store):
        yield store
        return
    with closing(open_store(store)) as opened:
        yield opened
