"""From provider files to a catalogue, refusing what is not understood.

In: a folder of YAML files, one a provider. Out: a `Catalogue`. It must not correct, guess or skip:
a fault in a file is an error that names file and key.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from harness.catalogue.faults import accepts_faults, price_faults
from harness.catalogue.models import (
    USES,
    VECTOR_SETTINGS,
    Accepts,
    Catalogue,
    LongPrompt,
    Model,
    Prices,
    ProviderFacts,
    Wire,
)
from harness.errors import CatalogueError
from harness.records import MODEL_CLASSES, SENT_FIELDS, JsonValue, ModelClass

# They have a shape and a reader of their own.
NO_PROVIDERS = ("weights.yaml", "presets.yaml")
FREE = Prices(input=0.0, output=0.0)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
WIRES: tuple[Wire, ...] = get_args(Wire)
FILE_KEYS = (
    *("provider", "also", "wire", "litellm_prefix", "api_base", "api_key_env", "source", "as_of"),
    *("free", "mapped_with", "answer_s", "classes", "settings", "unlisted", "notes", "models", "retired"),
    *("credentials", "address_env"),
)
MODEL_KEYS = (
    *("class", "takes", "prices", "context_tokens", "max_input_tokens", "max_output_tokens", "dimensions"),
    *("texts_per_request", "tokens_per_request", "weights", "deprecation_date", "successor"),
    *("answer_s", "source", "as_of"),
)
PRICE_KEYS = ("input", "cached_input", "cache_write", "output", "reasoning")


@dataclass(frozen=True, slots=True)
class _Section:
    """A mapping inside a file: its values are taken out with a check of their shape.

    key: dotted path inside the file; empty for the file as a whole.
    """

    file: str
    key: str
    values: Mapping[str, object]

    def fault(self, name: str, message: str) -> CatalogueError:
        path = ".".join(part for part in (self.key, name) if part)
        return CatalogueError(f"{self.file}: {path}: {message}" if path else f"{self.file}: {message}")

    def only(self, *names: str) -> None:
        for name in self.values:
            if name not in names:
                raise self.fault(name, f"is no known key; known are {', '.join(names)}")

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise self.fault(name, f"is {value!r}, expected a text in quotes")
        return value

    def optional_text(self, name: str) -> str | None:
        return self.text(name) if name in self.values else None

    def date(self, name: str) -> str:
        value = self.text(name)
        if not DATE.fullmatch(value):
            raise self.fault(name, f'is {value!r}, expected a date in quotes, as in "2026-11-23"')
        return value

    def number(self, name: str) -> float:
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(name, f"is {value!r}, expected a number")
        return value

    def optional_number(self, name: str) -> float | None:
        return self.number(name) if name in self.values else None

    def count(self, name: str) -> int | None:
        value = self.values.get(name)
        if value is None and name not in self.values:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.fault(name, f"is {value!r}, expected a whole number from 1 on")
        return value

    def flag(self, name: str) -> bool:
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise self.fault(name, f"is {value!r}, expected true or false")
        return value

    def items(self, name: str) -> list[JsonValue]:
        value = self.values.get(name, [])
        if not isinstance(value, list):
            raise self.fault(name, f"is {value!r}, expected a list")
        return cast("list[JsonValue]", value)

    def model_class(self, name: str) -> ModelClass:
        value = self.text(name)
        for model_class in MODEL_CLASSES:
            if value == model_class:
                return model_class
        raise self.fault(name, f"is {value!r}, expected one of {', '.join(MODEL_CLASSES)}")

    def section(self, name: str) -> _Section:
        value = self.values.get(name, {})
        if not isinstance(value, dict):
            raise self.fault(name, f"is {value!r}, expected keys with values")
        for key in value:
            if not isinstance(key, str):
                raise self.fault(name, f"has the key {key!r}, expected a text; put it in quotes")
        path = f"{self.key}.{name}" if self.key else name
        return _Section(self.file, path, cast("Mapping[str, object]", value))

    def sections(self) -> Iterator[tuple[str, _Section]]:
        for name in self.values:
            yield name, self.section(name)


def read_catalogue(folder: Path) -> Catalogue:
    """The catalogue of all provider files in a folder. Raises CatalogueError naming file and key.

    Its date is that of the oldest file.
    """
    yaml = YAML(typ="safe", pure=True)
    models: list[Model] = []
    providers: dict[str, ProviderFacts] = {}
    dates: list[str] = []
    for path in sorted(folder.glob("*.yaml")):
        if path.name in NO_PROVIDERS:
            continue
        file = _file(path, yaml)
        facts = _provider(file)
        if facts.name in providers:
            raise file.fault("provider", f"{facts.name!r} is described by another file already")
        providers[facts.name] = facts
        models += _models(file, facts.name)
        dates.append(file.date("as_of"))
    if not providers:
        raise CatalogueError(f"{folder} holds no provider file (*.yaml); reinstall the package")
    return Catalogue(models=tuple(models), providers=providers, as_of=min(dates))


def with_file(catalogue: Catalogue, path: Path) -> Catalogue:
    """The catalogue with a provider file of somebody's own, which wins over what was there.

    Models that it does not name stay. Raises CatalogueError naming file and key.
    """
    file = _file(path, YAML(typ="safe", pure=True))
    facts = _provider(file)
    known = {model.name for model in catalogue.models if model.provider == facts.name and not model.retired}
    models = _models(file, facts.name, known)
    extended = catalogue.extended(models, {facts.name: facts})
    return replace(extended, as_of=min(catalogue.as_of, file.date("as_of")))


def _file(path: Path, yaml: YAML) -> _Section:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CatalogueError(f"{path.name}: cannot be read, {error.strerror}: {path}") from error
    except (YAMLError, UnicodeError) as error:
        raise CatalogueError(f"{path.name}: cannot be read as YAML: {error}") from error
    if not isinstance(content, dict):
        raise CatalogueError(f"{path.name}: holds {type(content).__name__}, expected keys with values")
    file = _Section(path.name, "", cast("Mapping[str, object]", content))
    file.only(*FILE_KEYS)
    return file


def _provider(file: _Section) -> ProviderFacts:
    wire, unlisted = file.text("wire"), file.optional_text("unlisted")
    if unlisted is not None and unlisted not in file.section("settings").values:
        raise file.fault("unlisted", f"is {unlisted!r}, expected a set under settings")
    if wire not in WIRES:
        raise file.fault("wire", f"is {wire!r}, expected one of {', '.join(WIRES)}")
    notes = file.section("notes")
    notes.only(*SENT_FIELDS)
    return ProviderFacts(
        name=file.text("provider"),
        wire=wire,
        litellm_prefix=file.text("litellm_prefix"),
        api_base=file.optional_text("api_base"),
        api_key_env=file.optional_text("api_key_env"),
        free=file.flag("free"),
        also=tuple(str(name) for name in file.items("also")),
        mapped_with=file.optional_text("mapped_with") or "",
        unlisted=None if unlisted is None else _accepted(file.section("settings").section(unlisted)),
        notes={name: notes.text(name) for name in notes.values},
        credentials=tuple(str(place) for place in file.items("credentials")),
        address_env=file.optional_text("address_env"),
    )


def _models(file: _Section, provider: str, elsewhere: Collection[str] = ()) -> list[Model]:
    """The models of a file. elsewhere: current models of this provider that other files describe."""
    marked = {file.section("classes").text(name): name for name in file.section("classes").values}
    accepted = {name: _accepted(settings) for name, settings in file.section("settings").sections()}
    current = {
        name: _model(file, name, accepted=accepted, default_of_class=name in marked)
        for name in file.section("models").values
    }
    for name, model_class in marked.items():
        if name not in current or current[name].model_class != model_class:
            raise file.fault(f"classes.{model_class}", f"is {name!r}, expected a current model of that class")
    retired = [
        model
        for name, entry in file.section("retired").sections()
        for model in _retired(file, name, entry, {*current, *elsewhere})
    ]
    names = [*current, *(model.name for model in retired)]
    for name in names:
        if names.count(name) > 1:
            raise file.fault("retired", f"{provider}/{name} is described twice")
    return [*current.values(), *retired]


def _model(
    file: _Section, name: str, *, accepted: Mapping[str, dict[str, Accepts]], default_of_class: bool
) -> Model:
    entry = file.section("models").section(name)
    entry.only(*MODEL_KEYS)
    model_class = entry.model_class("class")
    context_tokens = entry.count("context_tokens")
    max_output_tokens = entry.count("max_output_tokens")
    dimensions = entry.count("dimensions")
    takes = entry.text("takes")
    if takes not in accepted:
        raise entry.fault("takes", f"is {takes!r}, expected a set under settings: {', '.join(accepted)}")
    # A provider's figure is for answers in words, not for vectors.
    timed = next((part for part in (entry, file) if "answer_s" in part.values), None)
    timed = None if timed is file and model_class == "EMBEDDING" else timed
    return Model(
        provider=file.text("provider"),
        name=name,
        model_class=model_class,
        prices=FREE if file.flag("free") else _prices(entry, model_class),
        answer_s=None if timed is None else _answer_s(timed.section("answer_s")),
        answer_s_source="" if timed is None else _stated_where(timed.section("answer_s")),
        settings=_limited(accepted[takes], max_output_tokens or context_tokens, dimensions),
        custom=_custom(file.section("settings").section(takes)),
        context_tokens=context_tokens,
        max_input_tokens=entry.count("max_input_tokens"),
        max_output_tokens=max_output_tokens,
        successor=entry.optional_text("successor"),
        dimensions=dimensions,
        texts_per_request=entry.count("texts_per_request"),
        tokens_per_request=entry.count("tokens_per_request"),
        weights=entry.optional_text("weights"),
        deprecation_date=entry.date("deprecation_date") if "deprecation_date" in entry.values else None,
        source=(entry if "source" in entry.values else file).text("source"),
        as_of=(entry if "as_of" in entry.values else file).date("as_of"),
        default_of_class=default_of_class,
    )


def _retired(file: _Section, name: str, entry: _Section, current: set[str]) -> Iterator[Model]:
    entry.only("class", "retired", "successor", "also")
    successor = entry.text("successor")
    if successor not in current:
        raise entry.fault("successor", f"is {successor!r}, expected a current model of this provider")
    for spelling in (name, *entry.items("also")):
        yield Model(
            provider=file.text("provider"),
            name=str(spelling),
            model_class=entry.model_class("class"),
            prices=None,
            retired=True,
            deprecation_date=entry.date("retired") if "retired" in entry.values else None,
            successor=successor,
            source=file.text("source"),
            as_of=file.date("as_of"),
        )


def _prices(entry: _Section, model_class: ModelClass) -> Prices | None:
    if "prices" not in entry.values:
        return None
    if entry.values["prices"] == "free":
        return FREE
    section = entry.section("prices")
    section.only(*PRICE_KEYS, "long_prompt")
    long_prompt = None
    if "long_prompt" in section.values:
        long = section.section("long_prompt")
        long.only("above_tokens", *PRICE_KEYS)
        above_tokens = long.count("above_tokens")
        if above_tokens is None:
            raise long.fault("above_tokens", "is missing: a long prompt needs a length")
        long_prompt = LongPrompt(above_tokens=above_tokens, prices=_rates(long, model_class, None))
    return _rates(section, model_class, long_prompt)


def _rates(section: _Section, model_class: ModelClass, long_prompt: LongPrompt | None) -> Prices:
    prices = Prices(
        input=section.number("input"),
        output=section.number("output"),
        cached_input=section.optional_number("cached_input"),
        cache_write=section.optional_number("cache_write"),
        reasoning=section.optional_number("reasoning"),
        long_prompt=long_prompt,
    )
    for name, message in price_faults(prices, model_class, free_by="`free`"):
        raise section.fault(name, message)
    return prices


def _answer_s(section: _Section) -> tuple[float, float]:
    section.only("low", "high", "source", "as_of")
    low, high = section.number("low"), section.number("high")
    if not 0 < low <= high:
        raise section.fault("low", f"is {low}, expected more than 0 and at most high, {high}")
    return low, high


def _stated_where(section: _Section) -> str:
    return f"{section.text('source')}, {section.date('as_of')}"


def _accepted(settings: _Section) -> dict[str, Accepts]:
    settings.only(*SENT_FIELDS, *VECTOR_SETTINGS, "extra")
    return {name: _accepts(entry, settings) for name, entry in settings.sections() if name != "extra"}


def _custom(settings: _Section) -> dict[str, Accepts]:
    """What a set says of custom parameters; of nothing else are the choices left empty."""
    extra = settings.section("extra")
    for name, entry in extra.sections():
        if name in SENT_FIELDS:
            raise extra.fault(name, f"is a setting; write it under {settings.key}")
        entry.only("low", "high", "choices")
    return {name: _accepts(entry, extra) for name, entry in extra.sections()}


def _accepts(entry: _Section, beside: _Section) -> Accepts:
    """beside: the set of settings that the entry belongs to."""
    entry.only("low", "high", "choices", "default", "not_with", "only_with", "uses")
    only_with, uses = entry.section("only_with"), entry.section("uses")
    uses.only(*USES)
    accepts = Accepts(
        low=entry.optional_number("low"),
        high=entry.optional_number("high"),
        choices=tuple(entry.items("choices")) if "choices" in entry.values else None,
        default=cast("JsonValue", entry.values.get("default")),
        not_with=tuple(str(name) for name in entry.items("not_with")),
        only_with={other: tuple(only_with.items(other)) for other in only_with.values},
        uses={use: cast("JsonValue", value) for use, value in uses.values.items()},
    )
    for name, message in accepts_faults(accepts, beside.values, beside.key):
        raise entry.fault(name, message)
    return accepts


def _limited(
    accepted: Mapping[str, Accepts], limit: int | None, dimensions: int | None
) -> dict[str, Accepts]:
    """The settings of one model: what its answers and its vectors have at most ends the range of either."""
    settings = dict(accepted)
    for name, most in (("max_output_tokens", limit), ("dimensions", dimensions)):
        stated = settings.get(name)
        if stated is not None and stated.high is None and stated.choices is None:
            settings[name] = replace(stated, high=most)
    return settings
