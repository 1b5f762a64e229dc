"""The experiment spec as strict models: what may be written, key by key.

In: plain values of a YAML file or a Python mapping. Out: a `Spec`, or pydantic's errors, which
`spec_reader` turns into problems with lines. Descriptions here become the JSON schema for editors and
the reference page. Must not look anything up: that is the planner's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from harness.catalogue.custom import TOOLS, custom_fault, tools_fault
from harness.plan.aim_spec import AimSpec
from harness.plan.columns_spec import ColumnsSpec
from harness.plan.embedding_spec import EmbeddingTaskSpec, VectorSearchSpec
from harness.plan.gate_spec import GateSpec
from harness.plan.long_input_spec import LongInputsSpec
from harness.plan.prompt_spec import PROMPT_TEXT, Name, Prompts
from harness.plan.provider_spec import ProviderSpec
from harness.plan.ranges import (
    KIND,
    AnyOptions,
    CustomSetting,
    NumberSetting,
    Setting,
    StopSetting,
    Strict,
    TextSetting,
    WholeSetting,
)
from harness.records import SENT_FIELDS


def _named(value: object) -> str:
    return KIND + ("with options" if isinstance(value, Mapping) else "plain")


def _custom_name(name: str) -> str:
    if fault := custom_fault(name):
        raise ValueError(fault)
    return name


def own_tools(extra: dict[str, Any]) -> dict[str, Any]:
    """The custom parameters, if the tools among them are functions. Raises ValueError for others."""
    setting = extra.get(TOOLS)
    for value in setting.choices if isinstance(setting, AnyOptions) else [setting]:
        if fault := tools_fault(value):
            raise ValueError(fault)
    return extra


CustomName = Annotated[str, AfterValidator(_custom_name)]
SHA256 = r"^[0-9a-f]{64}$"
NO_TASK = "task is missing, and so is tasks"
ScorerForm = Annotated[
    Annotated[str, Tag(KIND + "plain")]
    | Annotated[
        Annotated[dict[str, JsonValue], Field(min_length=1, max_length=1)], Tag(KIND + "with options")
    ],
    Discriminator(_named),
]
SamplerForm = Annotated[
    Annotated[str, Tag(KIND + "plain")]
    | Annotated[
        Annotated[dict[str, dict[str, JsonValue]], Field(min_length=1, max_length=1)],
        Tag(KIND + "with options"),
    ],
    Discriminator(_named),
]


class SchemaSpec(Strict):
    """A JSON schema that answers are asked to keep."""

    json_schema: dict[str, JsonValue] = Field(alias="schema", min_length=1, description="The schema itself.")


OutputForm = Annotated[
    Annotated[Literal["json"], Tag(KIND + "plain")] | Annotated[SchemaSpec, Tag(KIND + "with options")],
    Discriminator(_named),
]


class TaskSpec(Strict):
    """What is asked, on which examples, and how answers are judged."""

    dataset: str = Field(
        min_length=1,
        description="The examples: a name (datasets/NAME.yaml beside the spec or above it), a path to a "
        ".yaml, .jsonl, .csv or .parquet file relative to the spec, or hf:owner/name@revision.",
    )
    columns: ColumnsSpec | None = Field(
        default=None,
        description="Which column is what, for rows of a path, a hub or Python; a data set definition says "
        "it itself.",
    )
    prompt: Prompts = Field(
        description=f"The prompt, or prompts by variant name, which are then searched. {PROMPT_TEXT}"
    )
    scorers: list[ScorerForm] = Field(
        min_length=1,
        description="How each answer is judged; the first one gives the quality. "
        "A name (exact), a name with options (choice: {labels: [yes, no]}), or models that judge: "
        "rubric: {models: [openai/SMALL], criterion: ...}, correctness: {models: [...]}, preference: {...}.",
    )
    metric: str = Field(
        min_length=1, description="How scores of all samples become one quality, as in accuracy."
    )
    slices: list[str] | None = Field(
        default=None,
        description="Metadata fields by whose values quality is shown. Left out: fields of at most 12.",
    )
    output: OutputForm | None = Field(
        default=None,
        description="json: answers are asked to be JSON, or a mapping {schema: ...} with a JSON schema that "
        "they are asked to keep. Sent as response_format, which not every provider takes.",
    )
    stratify: str | None = Field(
        default=None,
        min_length=1,
        description="Split so that both splits hold the same share of each value of this: target, or a field "
        "of metadata. Left out: by id alone, so that a row keeps its side when others are added.",
    )
    repeats: int = Field(default=1, ge=1, description="How often each sample is asked, from 1.")
    limit: int | None = Field(
        default=None, ge=4, description="Use only this many samples, at least 4; the same ones every time."
    )
    long_inputs: LongInputsSpec | None = Field(
        default=None,
        description="What becomes of inputs too long for a prompt: cut down, or asked about in chunks.",
    )
    max_input_tokens: int | None = Field(
        default=None,
        ge=1,
        description="Longest prompt in tokens, where it is to be shorter than the models allow; a row that "
        "makes a longer one is an error before anything is sent.",
    )


class WeightedTaskSpec(TaskSpec):
    """One of several tasks."""

    weight: float = Field(
        default=1.0,
        gt=0,
        description="How much the task counts beside the others, above 0: its share of the quality, and of "
        "the samples, is its weight by the sum of all weights.",
    )


def task_weight(task: TaskSpec) -> float:
    """How much a task counts; 1 for the only one."""
    return task.weight if isinstance(task, WeightedTaskSpec) else 1.0


# What stands beside the names of tasks in exports and tables: a task of this name would be taken for it.
TAKEN = {
    "document": "exports call the template of documents so",
    "low": "tables of trials call an end of an interval so",
    "high": "tables of trials call an end of an interval so",
}


def _task_name(name: str) -> str:
    if name in TAKEN:
        raise ValueError(f"cannot be the name of a task: {TAKEN[name]}; choose another one")
    return name


TaskName = Annotated[Name, AfterValidator(_task_name)]


def _told_apart(tasks: dict[str, WeightedTaskSpec]) -> dict[str, WeightedTaskSpec]:
    clash = next((name for name in tasks if {f"{name}_low", f"{name}_high"} & set(tasks)), None)
    if clash is not None:
        raise ValueError(
            f"has {clash!r} and a task of that name with _low or _high behind it, as tables of trials call "
            f"the ends of the interval of {clash!r}; rename one of them"
        )
    return tasks


class SearchSpec(VectorSearchSpec):
    """What is searched. A setting is a range, choices, or one fixed value; others are not sent."""

    models: list[str] = Field(
        min_length=1,
        description="provider/name, or provider/CLASS with SMALL, MEDIUM, LARGE or EMBEDDING; a provider "
        "alone is its MEDIUM model, the one for general tasks.",
    )
    temperature: NumberSetting | None = Field(default=None, description="Randomness of sampling.")
    top_p: NumberSetting | None = Field(default=None, description="Share of probability sampled from.")
    frequency_penalty: NumberSetting | None = Field(
        default=None, description="Penalty that grows with each repetition of a token."
    )
    presence_penalty: NumberSetting | None = Field(
        default=None, description="Penalty on tokens that were used at all."
    )
    max_output_tokens: WholeSetting | None = Field(
        default=None, description="Longest answer in tokens, hidden reasoning included."
    )
    stop: StopSetting | None = Field(default=None, description="Texts at which an answer ends.")
    reasoning_effort: TextSetting | None = Field(
        default=None, description="How much a reasoning model thinks before it answers."
    )
    n_shots: WholeSetting | None = Field(
        default=None,
        description="How many examples of the search split a prompt shows before the question; at most 8 "
        "different numbers. A prompt has a line `shots:` for them, or loops over the variable shots.",
    )
    extra: Annotated[dict[CustomName, CustomSetting], AfterValidator(own_tools)] = Field(
        default_factory=dict[CustomName, CustomSetting],
        description="Custom parameters by the name that the provider gives them, as in top_k or min_p; sent "
        "as they are, and searched where they are ranges or choices.",
    )
    on_unsupported: Literal["error", "condition"] = Field(
        default="error",
        description="A setting that a model does not take: an error, or absent for that model alone.",
    )
    escalate: bool = Field(
        default=False,
        description="Search the smallest model class first, and a larger one only if it is not sure to reach "
        "the target, which is aim.policy: {floor: ...}.",
    )
    n_trials: int = Field(default=60, ge=1, description="How many settings are tried at most.")
    mode: Literal["budget", "confidence"] = Field(
        default="budget",
        description="budget: the best choice for what may be spent. confidence: race until the best is known "
        "at aim.confidence, or the data cannot tell.",
    )
    sampler: SamplerForm = Field(
        default="auto",
        description="How the next settings are proposed: auto (right unless you know better), tpe, random, "
        "grid (needs steps or choices for every setting), nsga2, or a sampler of Optuna by the name of its "
        "class, with arguments as in {CmaEsSampler: {n_startup_trials: 8}}.",
    )
    front: bool | None = Field(
        default=None,
        description="Search for quality and price together, for a front of good compromises, instead of "
        "quality alone. Left out: as policy and sampler need it.",
    )
    presets: list[str] = Field(
        default_factory=list[str],
        description="Sets of settings by name (chat, analysis, enhanced) that are always measured beside the "
        "untuned default, for each model as far as the space holds them, and told by name.",
    )
    warm_start: list[str] = Field(
        default_factory=list[str],
        description="Settings to try early: finalists of an earlier run (its name, or latest), a "
        "recommendation.json relative to the spec, or preset:NAME of the catalogue.",
    )
    optuna_storage: str | None = Field(
        default=None,
        min_length=1,
        description="URL of an Optuna storage, or a file for Optuna's journal, that mirrors the run live.",
    )
    reuse_across_limits: bool = Field(
        default=False,
        description="At temperature 0, an answer that ended by itself also counts for other "
        "max_output_tokens that it fits; it is marked as reused, and not paid again.",
    )

    def settings(self) -> dict[str, Setting]:
        """The settings that were written down, by name."""
        asked = {name: getattr(self, name) for name in SEARCHABLE} | self.extra
        return {name: value for name, value in asked.items() if value is not None}


SEARCHABLE: tuple[str, ...] = tuple(name for name in SearchSpec.model_fields if name in SENT_FIELDS)


class SemanticCacheSpec(Strict):
    """A switch for development runs: near prompts share an answer, and nothing is recommended."""

    model: str = Field(min_length=1, description="The embedding model that says how near two prompts are.")
    threshold: float = Field(
        gt=0, le=1, description="Cosine from which on the answer to one prompt is given to another."
    )


class BudgetSpec(Strict):
    """Caps of a run; at least one. A call that could cross one is not sent."""

    usd: float | None = Field(default=None, gt=0, description="US dollars at most.")
    calls: int | None = Field(default=None, ge=1, description="Paid calls at most.")
    tokens: int | None = Field(default=None, ge=1, description="Tokens in and out at most.")
    minutes: float | None = Field(default=None, gt=0, description="Minutes at most.")

    @model_validator(mode="after")
    def _capped(self) -> BudgetSpec:
        if (self.usd, self.calls, self.tokens, self.minutes) == (None, None, None, None):
            raise ValueError("sets no cap; give at least one of usd, calls, tokens, minutes")
        return self


# A task with a kind that is none is still one of vectors, and its other keys are read as such.
ONLY_OF_VECTORS = frozenset(EmbeddingTaskSpec.model_fields) - frozenset(TaskSpec.model_fields)


def _task_kind(value: object) -> str:
    held = (
        not ONLY_OF_VECTORS.isdisjoint(cast("Mapping[str, object]", value))
        if isinstance(value, Mapping)
        else isinstance(value, EmbeddingTaskSpec)
    )
    return KIND + ("of vectors" if held else "of texts")


TaskForm = Annotated[
    Annotated[TaskSpec, Tag(KIND + "of texts")] | Annotated[EmbeddingTaskSpec, Tag(KIND + "of vectors")],
    Discriminator(_task_kind),
]


class Spec(Strict):
    """An experiment: a task, what to search, what counts as good, and what it may cost."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["task"]}, {"required": ["tasks"]}]})

    experiment: Name = Field(description="Its name: letters, digits, dots, dashes and underscores.")
    description: str = Field(default="", description="The question, in a sentence.")
    task: TaskForm | None = Field(
        default=None,
        description="What is asked and how answers are judged; with `kind`, a task of embedding models.",
    )
    tasks: (
        Annotated[dict[TaskName, WeightedTaskSpec], Field(min_length=2), AfterValidator(_told_apart)] | None
    ) = Field(
        default=None,
        description="In place of task: several tasks by name, for which one set of settings is to be good. "
        "The quality is the mean of theirs by weight.",
    )
    search: SearchSpec = Field(description="Models and settings to choose from.")
    catalogue: list[str] = Field(
        default_factory=list[str],
        description="Files of your own in the form of the catalogue's provider files, relative to the spec: "
        "what they say of a provider or model wins over the catalogue.",
    )
    providers: dict[Name, ProviderSpec] = Field(
        default_factory=dict[str, ProviderSpec], description="Endpoints, limits and own models, by provider."
    )
    aim: AimSpec = Field(default_factory=AimSpec, description="What makes settings good.")
    budget: BudgetSpec = Field(description="What the run may cost.")
    gate: GateSpec | None = Field(
        default=None, description="What harness gate asks; a search does not look at it."
    )
    failures: Literal["count_as_wrong", "leave_out"] = Field(
        description="What a call without an answer, or an answer that a scorer cannot judge, means for "
        "quality: count_as_wrong or leave_out. What a judge gives no verdict on is left out in any case."
    )
    fallback: list[str] = Field(
        default_factory=list[str],
        description="Embedding models that the evaluation of a task with `kind` goes on with, in this order, "
        "when the one before cannot be asked any more: the whole run moves, and no two models are mixed.",
    )
    semantic_cache: SemanticCacheSpec | None = Field(
        default=None,
        description="For development alone: a prompt near one that was answered under the same model and "
        "settings is given its answer, which is marked. Such a run recommends nothing.",
    )
    seed: int = Field(default=0, ge=0, description="Decides the order of samples and all randomness of ours.")

    @model_validator(mode="after")
    def _asks(self) -> Spec:
        if (self.task is None) == (self.tasks is None):
            raise ValueError(NO_TASK if self.task is None else "has both task and tasks; keep one of them")
        return self
