"""Settings that somebody hands in, as a file or from Python, held against what their model takes.

In: a recommendation, an evaluation or an export as harness writes them, or plain settings by name. Out: the
settings, exactly as they will be sent. Nothing is added, dropped or bent: what does not fit is a fault with
its line.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, TypeAlias, cast

from pydantic import AfterValidator, Field, JsonValue

from harness.catalogue.models import Catalogue, Model
from harness.errors import CatalogueError, UsageError
from harness.findings import Recommendation
from harness.plan.conditions import restriction
from harness.plan.embedding_spec import LOCAL
from harness.plan.lookup import find_model
from harness.plan.mapping import OWN_ARGUMENT, own_arguments
from harness.plan.problems import Place, Problems, suggestion
from harness.plan.space import refused
from harness.plan.spec import CustomName, Strict, own_tools
from harness.plan.spec_reader import read_model
from harness.plan.yaml_source import YamlSource, from_mapping, read_yaml
from harness.records import SENT_FIELDS, Settings

Given: TypeAlias = "Settings | Recommendation | Mapping[str, object] | Path | str"
EXPORTED = "harness settings"  # the `format` of an exported settings.json
RECOMMENDATIONS = "harness recommendations"  # that of an exported recommendation.json


class SettingsSpec(Strict):
    """One set of settings; what is left out is not sent."""

    model: str = Field(description="provider/name, or provider/CLASS.")
    prompt: str | None = Field(default=None, description="The prompt variant, where the spec has several.")
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    stop: list[str] | None = None
    seed: int | None = None
    reasoning_effort: str | None = None
    extra: Annotated[dict[CustomName, JsonValue], AfterValidator(own_tools)] = Field(
        default_factory=dict[str, JsonValue], description="Custom parameters, passed through as they are."
    )
    local: dict[str, JsonValue] = Field(
        default_factory=dict[str, JsonValue], description="What is done with vectors here, and never sent."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Settings that were read, with their model.

    origin: where they come from, in words. recommended_by, experiment: the run that recommends them and its
    experiment; empty when nothing does.
    """

    settings: Settings
    model: Model
    origin: str
    recommended_by: str = ""
    experiment: str = ""

    def form(self) -> dict[str, JsonValue]:
        """The same as JSON-like values, for `read_given` to read again."""
        return {
            "origin": self.origin,
            "recommended_by": self.recommended_by,
            "experiment": self.experiment,
            "settings": settings_form(self.settings),
        }


def settings_form(settings: Settings) -> dict[str, JsonValue]:
    """The settings by name, set ones only, custom parameters under `extra`: what `read_given` reads."""
    named = {name: value for name, value in settings.sent().items() if name not in settings.extra}
    form = {"model": settings.model, "prompt": settings.prompt, **named}
    form |= {"extra": dict(settings.extra)} if settings.extra else {}
    return cast("dict[str, JsonValue]", form | ({"local": dict(settings.local)} if settings.local else {}))


def read_given(
    given: Given, prompts: Collection[str], catalogue: Catalogue, *, experiment: str = ""
) -> Found:
    """The settings that are given, if their model takes them and the task has their prompt.

    experiment: whose recommendation is meant, where a file holds those of several.
    Raises SpecError with every fault, with file and line where there is a file; UsageError without a file.
    """
    source = _source(given)
    if isinstance(source.value, dict) and source.value.get("format") == RECOMMENDATIONS:
        source = _of_set(source, source.value, experiment)
    inner = _settings_in(source)
    problems = Problems(inner)
    if inner.value is None:
        problems.raise_any()
    spec, _ = read_model(SettingsSpec, inner, problems)
    problems.raise_any()
    if spec is None:
        raise AssertionError("settings are read only when no fault was found")
    model = _model(spec.model, catalogue, problems)
    prompt = _prompt(spec.prompt, prompts, problems)
    named = {name: value for name in SENT_FIELDS if (value := getattr(spec, name)) is not None}
    if model is not None:
        for name, value in named.items():
            fault = refused(model, name, value)
            together = restriction(model, name, {one: (given,) for one, given in named.items()})
            fault = fault or (together.reason if together else None)
            if fault is not None:
                problems.add((name,), f"{fault}; what is given is sent as it is, so change it or take it out")
    problems.raise_any()
    if model is None:
        raise AssertionError("settings are read only when no fault was found")
    for name in own_arguments(catalogue.provider(model.provider), spec.extra):
        problems.add(("extra", name), OWN_ARGUMENT.format(model.full_name))
    for name in spec.local:
        if name not in LOCAL:
            problems.add(("local", name), f"is nothing that is done with vectors; {suggestion(name, LOCAL)}")
    problems.raise_any()
    if spec.stop is not None:
        named["stop"] = tuple(spec.stop)
    settings = Settings(model=model.full_name, prompt=prompt, extra=spec.extra, local=spec.local, **named)
    whole = _mapping(source.value)
    run, experiment = _recommended_by(whole), _text(whole, "experiment")
    told = "" if isinstance(given, str | Path) else _text(whole, "origin")
    origin = told or _origin(given, run)
    return Found(settings=settings, model=model, origin=origin, recommended_by=run, experiment=experiment)


def _source(given: Given) -> YamlSource:
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.is_file():
            raise UsageError(
                f"the settings {str(path)!r} are no file; give a recommendation.json of `harness tune`, or a "
                "JSON or YAML file of settings by name"
            )
        return read_yaml(path)
    if isinstance(given, Recommendation):
        given = {
            "recommended_by": given.run,
            "experiment": given.experiment,
            "settings": settings_form(given.settings),
        }
    elif isinstance(given, Settings):
        given = settings_form(given)
    return replace(from_mapping(given, ""), file="<settings>")


def _settings_in(source: YamlSource) -> YamlSource:
    """The settings inside a recommendation, an evaluation or an export; else all that is there."""
    whole = source.value
    if not isinstance(whole, dict):
        return source
    if whole.get("format") == EXPORTED:
        return _of_export(source, whole)
    if not isinstance(whole.get("settings"), dict):
        return source
    lines = {place[1:]: line for place, line in source.lines.items() if place[:1] == ("settings",)}
    return replace(source, value=whole["settings"], lines=lines)


def recommended_in(whole: Mapping[str, JsonValue], experiment: str, file: str) -> int:
    """Which pick of an exported recommendation.json its runs recommend under their own policy.

    Raises UsageError when there is none, or several that may be meant: of no experiment of that name.
    """
    picks = whole.get("picks")
    chosen = {
        number: _text(pick, "use_case")
        for number, one in enumerate(picks if isinstance(picks, list) else [])
        if (pick := _mapping(one)).get("recommended") is True and pick.get("policy") == "own"
    }
    meant = [number for number, use_case in chosen.items() if use_case == experiment] or [*chosen]
    if len(meant) == 1:
        return meant[0]
    found = ", ".join(dict.fromkeys(chosen.values())) or "nothing"
    raise UsageError(
        f"{file} recommends settings for {found}, expected one choice, or one for {experiment!r}; export one "
        "run, or give the recommendation.json of its report"
    )


def _of_set(source: YamlSource, whole: Mapping[str, JsonValue], experiment: str) -> YamlSource:
    """The recommendation of one run out of an exported recommendation.json."""
    number = recommended_in(whole, experiment, source.file)
    picks = whole["picks"]
    assert isinstance(picks, list), "a pick was found in it"
    pick = _mapping(picks[number])
    value: dict[str, JsonValue] = {
        "recommended_by": pick.get("run"),
        "experiment": pick.get("use_case"),
        "settings": pick.get("settings"),
    }
    place = ("picks", number)
    lines = {at[2:]: line for at, line in source.lines.items() if at[:2] == place}
    return replace(source, value=value, lines=lines)


def _of_export(source: YamlSource, whole: Mapping[str, JsonValue]) -> YamlSource:
    model, prompt, sent = (_mapping(whole.get(name)) for name in ("model", "prompt", "parameters"))
    named = {name: value for name, value in sent.items() if name in SENT_FIELDS}
    value: dict[str, JsonValue] = {
        "model": f"{model.get('provider')}/{model.get('name')}",
        "prompt": prompt.get("variant"),
        **named,
        "extra": {name: value for name, value in sent.items() if name not in named},
        "local": dict(_mapping(whole.get("local"))),
    }
    lines = {place[1:]: line for place, line in source.lines.items() if place[:1] == ("parameters",)}
    tops: dict[Place, int] = {(name,): source.lines.get((name,), 1) for name in ("model", "prompt")}
    return replace(source, value=value, lines=lines | tops if source.lines else {})


def _mapping(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _model(name: str, catalogue: Catalogue, problems: Problems) -> Model | None:
    try:
        return find_model(name, catalogue)
    except CatalogueError as error:
        problems.add(("model",), str(error))
        return None


def _prompt(name: str | None, prompts: Collection[str], problems: Problems) -> str:
    if name is None and len(prompts) == 1:
        return next(iter(prompts))
    if name is None:
        problems.add((), f"names no prompt, and the spec has {', '.join(prompts)}; say prompt: NAME")
    elif name not in prompts:
        problems.add(("prompt",), f"{name!r} is no prompt of the spec; {suggestion(name, prompts)}")
    return name or ""


def _recommended_by(whole: Mapping[str, JsonValue]) -> str:
    """The run that recommends these settings; an evaluation has a run too, which chose nothing."""
    chosen = "policy" in whole or "evidence" in whole
    return _text(whole, "run") if chosen else _text(whole, "recommended_by")


def _origin(given: Given, run: str) -> str:
    if run:
        return f"recommended by run {run}"
    return f"from {given}" if isinstance(given, str | Path) else "as given"


def _text(whole: Mapping[str, JsonValue], name: str) -> str:
    value = whole.get(name)
    return value if isinstance(value, str) else ""
