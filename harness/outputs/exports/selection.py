"""What is exported: a recommendation, and the best settings of each model class beside it.

In: recommendations of one or several runs. Out: one `Selection`, which every writer is given. Must not know
any target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from harness.catalogue.models import Catalogue, Model, load_catalogue
from harness.errors import CatalogueError, UsageError
from harness.findings import Recommendation
from harness.plan.embedding import document_name
from harness.records import MODEL_CLASSES, Endpoint, ModelClass, Settings, Side

PolicyLabel: TypeAlias = Literal["best", "value", "fast", "own"]
# What the labels mean, as a spec would write it; "own" is the policy of the spec.
POLICIES: tuple[tuple[PolicyLabel, str | Mapping[str, object]], ...] = (
    ("best", "best"),
    ("value", {"cheapest_within": 0.01}),
    ("fast", {"fastest_within": 0.01}),
)

OLLAMA = "ollama_chat"  # speaks OpenAI's format too, below /v1 of its address


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The settings to export.

    choice: the recommendation; targets without model classes get it alone. runs: one recommendation of each
    run that was given, the choice first, those of embedding models last. by_class: settings of each class
    that was studied, the choice's own among them. choices: all recommendations, each with the label of its
    policy; empty: those of the runs, under their specs' own. prompt_text: source of the choice's template,
    `None` where it is not known, and in a run of several tasks, each of which has its own. templates: sources
    of all templates, by run and variant; of several tasks, by run and `TASK/VARIANT`.
    endpoints: where the runs asked their models, by provider. embedding: an embedding model that no run
    studied was named. max_input_tokens: where the target is to cut its input; `None`: not asked for.
    character: name and text of a file that the settings are to be written into; `None`: a new file.
    """

    choice: Recommendation
    by_class: Mapping[ModelClass, Settings]
    runs: tuple[Recommendation, ...] = ()
    choices: tuple[tuple[PolicyLabel, Recommendation], ...] = ()
    prompt_text: str | None = None
    templates: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict[str, Endpoint])
    embedding: bool = False
    max_input_tokens: int | None = None
    character: tuple[str, str] | None = None
    catalogue: Catalogue = field(default_factory=load_catalogue)

    @property
    def settings(self) -> Settings:
        """The recommended settings."""
        return self.choice.settings

    @property
    def task_templates(self) -> dict[str, str]:
        """The template of each task of the choice's variant, by task; empty for a run of one task."""
        if self.prompt_text is not None:
            return {}
        named = named_by(self.settings.prompt, self.templates.get(self.choice.run, {}))
        return {name.partition("/")[0]: text for name, text in named.items()}

    @property
    def document_text(self) -> str | None:
        """The template that documents were embedded with; `None` without any, or where it is not known."""
        return self.templates.get(self.choice.run, {}).get(document_name(self.settings.prompt))

    def of_side(self, side: Side) -> Selection:
        """The same with what is sent with texts of this side of a retrieval."""
        of_class = {name: settings.of_side(side) for name, settings in self.by_class.items()}
        choice = replace(self.choice, settings=self.settings.of_side(side))
        return replace(self, choice=choice, by_class=of_class)

    @property
    def is_embedding(self) -> bool:
        """Whether the choice is an embedding model."""
        return _of_vectors(self.choice, self.catalogue)

    def address(self, provider: str) -> str | None:
        """Where this provider was asked, if that is not where everybody asks it; `None`: there."""
        asked, facts = self.endpoints.get(provider), self.catalogue.providers.get(provider)
        usual = None if facts is None else facts.api_base
        if asked is None or asked.api_base is None:
            return None
        return None if usual is not None and _same(asked.api_base, usual) else asked.api_base

    def openai_address(self, provider: str) -> str | None:
        """Where this provider is asked in OpenAI's format; `None`: nowhere, as far as is known."""
        asked, facts = self.endpoints.get(provider), self.catalogue.providers.get(provider)
        address = (None if asked is None else asked.api_base) or (None if facts is None else facts.api_base)
        if address is not None and facts is not None and facts.litellm_prefix == OLLAMA:
            return f"{address.rstrip('/')}/v1"
        # A lane of litellm may have been chosen for a provider that speaks this format all the same.
        speaks = (asked is not None and asked.wire == "openai") or facts is None or facts.wire == "openai"
        return address if speaks else None

    def ran_inside(self, provider: str) -> bool:
        """Whether models of this provider ran in processes of harness, where nobody else can ask them."""
        facts = self.catalogue.providers.get(provider)
        return facts is not None and facts.wire == "embedded" and self.openai_address(provider) is None

    def key_variable(self, provider: str) -> str | None:
        """The environment variable with the key of this provider; `None`: it wants no key."""
        asked, facts = self.endpoints.get(provider), self.catalogue.providers.get(provider)
        return (None if asked is None else asked.api_key_env) or (
            None if facts is None else facts.api_key_env
        )

    def own_key_variable(self, provider: str) -> str | None:
        """The same, if it is not the one that everybody uses for this provider."""
        variable, facts = self.key_variable(provider), self.catalogue.providers.get(provider)
        return None if facts is not None and variable == facts.api_key_env else variable

    def known(self, settings: Settings) -> Model | None:
        """What the catalogue says of the model of these settings; `None`: nothing."""
        return _known(settings, self.catalogue)


def selection_of(
    choices: Sequence[Recommendation],
    *,
    labelled: Sequence[tuple[PolicyLabel, Recommendation]] = (),
    prompt_text: str | None = None,
    templates: Mapping[str, Mapping[str, str]] | None = None,
    embedding: str | None = None,
    max_input_tokens: int | None = None,
    character: tuple[str, str] | None = None,
    catalogue: Catalogue | None = None,
) -> Selection:
    """The first recommendation, with the classes that it did not study filled in from the others.

    One of an embedding model gives way to those of text models, wherever it stands. labelled: the same and
    others under each policy. prompt_text: `None`: among templates, if it is known. embedding:
    "provider/name" of an embedding model that no run studied. Raises UsageError when it is none of the
    catalogue's, or is retired.
    """
    catalogue = catalogue or load_catalogue()
    choices = sorted(choices, key=lambda choice: _of_vectors(choice, catalogue))
    templates = templates or {}
    if prompt_text is None:
        prompt_text = templates.get(choices[0].run, {}).get(choices[0].settings.prompt)
    by_class: dict[ModelClass, Settings] = {}
    endpoints: dict[str, Endpoint] = {}
    for choice in choices:
        endpoints = {**choice.provenance.endpoints, **endpoints}
        for model_class, settings in _classes(choice).items():
            by_class.setdefault(model_class, settings)
    if embedding is not None:
        by_class["EMBEDDING"] = Settings(model=_embedding(embedding, catalogue).full_name, prompt="")
    ordered: dict[ModelClass, Settings] = {c: by_class[c] for c in MODEL_CLASSES if c in by_class}
    return Selection(
        choice=choices[0],
        runs=tuple(choices),
        by_class=ordered,
        choices=tuple(labelled) or tuple(("own", choice) for choice in choices),
        prompt_text=prompt_text,
        templates=templates,
        endpoints=endpoints,
        embedding=embedding is not None,
        max_input_tokens=max_input_tokens,
        character=character,
        catalogue=catalogue,
    )


def named_by(variant: str, templates: Mapping[str, str]) -> dict[str, str]:
    """Those of a run's templates that this variant stands for: of its one task, or of each."""
    if variant in templates:
        own = (variant, document_name(variant))
        return {name: templates[name] for name in own if name in templates}
    return {name: text for name, text in templates.items() if name.partition("/")[2] == variant}


def replace_class(selection: Selection, model_class: ModelClass, settings: Settings) -> Selection:
    """The same with these settings for this class."""
    return replace(selection, by_class={**selection.by_class, model_class: settings})


def idle_runs(selection: Selection, *, embeds: bool) -> list[str]:
    """Further runs of which no class is used: an earlier run, or a named embedding model, fills it.

    embeds: whether the target holds settings of EMBEDDING.
    """
    filled: set[ModelClass] = {"EMBEDDING"} if selection.embedding or not embeds else set()
    idle: list[str] = []
    for choice in selection.runs:
        own = set(_classes(choice))
        if choice is not selection.choice and own <= filled:
            idle.append(choice.run)
        filled |= own
    return idle


def _of_vectors(choice: Recommendation, catalogue: Catalogue) -> bool:
    """Whether this recommends an embedding model."""
    known = _known(choice.settings, catalogue)
    return "EMBEDDING" in (choice.trial.model_class, None if known is None else known.model_class)


def _known(settings: Settings, catalogue: Catalogue) -> Model | None:
    try:
        return catalogue.find(settings.model)
    except CatalogueError:
        return None


def _same(address: str, other: str) -> bool:
    return address.rstrip("/") == other.rstrip("/")


def _classes(choice: Recommendation) -> dict[ModelClass, Settings]:
    """Best settings by class; the recommendation stands for its own class, whatever its champion."""
    found: dict[ModelClass, Settings] = {one.model_class: one.trial.settings for one in choice.by_class}
    if choice.trial.model_class is not None:
        found[choice.trial.model_class] = choice.settings
    return found


def _embedding(name: str, catalogue: Catalogue) -> Model:
    try:
        model = catalogue.find(name)
    except CatalogueError as error:
        raise UsageError(str(error)) from error
    if model.model_class != "EMBEDDING":
        raise UsageError(
            f"{name!r} is of class {model.model_class}, expected an embedding model such as "
            "openai/text-embedding-3-small"
        )
    return model


def read_character(path: Path) -> tuple[str, str]:
    """Name and text of a character file, its line ends as they are. Raises UsageError when unreadable."""
    try:
        return path.name, path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read: {error}; expected a character file (JSON, UTF-8)"
        ) from error
