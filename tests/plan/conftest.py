"""A small project on disk and a small catalogue: tests change one line of it and look what happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue.models import Accepts, Catalogue, Model, Prices, ProviderFacts
from harness.errors import Problem, SpecError
from harness.plan.plan import Plan
from harness.plan.planner import make_plan

SPEC = """\
experiment: triage
task:
  dataset: tickets.jsonl
  prompt: prompts/ask.jinja
  scorers: [choice: {labels: [billing, bug]}]
  metric: accuracy
search:
  models: [alpha/small, beta/SMALL]
  temperature: {low: 0.0, high: 1.0}
  max_output_tokens: {choices: [16, 64]}
  n_trials: 10
budget: {usd: 1.0}
failures: count_as_wrong
seed: 3
"""
SAMPLING = {
    "temperature": Accepts(low=0.0, high=2.0, default=0.3),
    "max_output_tokens": Accepts(low=1, default=1024),
    "frequency_penalty": Accepts(low=-2.0, high=2.0, default=0.0),
    "stop": Accepts(),
    "reasoning_effort": Accepts(choices=("low", "high"), default="low"),
}


def _model(full_name: str, **changes: Any) -> Model:
    provider, _, name = full_name.partition("/")
    facts: dict[str, Any] = {
        "model_class": "SMALL",
        "prices": Prices(input=1.0, output=4.0),
        "settings": SAMPLING,
        "max_output_tokens": 4096,
        "as_of": "2026-01-01",
    }
    return Model(provider=provider, name=name, **facts | changes)


CATALOGUE = Catalogue(
    models=(
        _model("alpha/small", default_of_class=True),
        _model("alpha/large", model_class="LARGE", deprecation_date="2027-01-01"),
        _model("alpha/unpriced", model_class="MEDIUM", prices=None),
        _model("alpha/old", prices=None, retired=True, successor="small"),
        _model(
            "beta/mini",
            prices=Prices(input=2.0, output=8.0),
            max_output_tokens=2048,
            settings={
                "temperature": Accepts(low=0.0, high=1.0, default=1.0),
                "max_output_tokens": Accepts(low=1, default=512),
            },
        ),
        _model("here/tiny", prices=Prices(input=0.0, output=0.0), as_of=""),
    ),
    providers={
        "alpha": ProviderFacts(
            name="alpha",
            wire="openai",
            litellm_prefix="openai",
            api_base="https://alpha.example/v1",
            api_key_env="ALPHA_API_KEY",
        ),
        "beta": ProviderFacts(
            name="beta",
            wire="litellm",
            litellm_prefix="beta",
            api_base=None,
            api_key_env="BETA_API_KEY",
            mapped_with=version("litellm"),
        ),
        "here": ProviderFacts(
            name="here", wire="embedded", litellm_prefix="openai", api_base=None, api_key_env=None
        ),
    },
    as_of="2025-12-31",
)


def some_rows(count: int) -> list[dict[str, Any]]:
    """Rows of two labels with ids `t1`, `t2` and so on."""
    labels = ("billing", "bug")
    return [{"id": f"t{n}", "text": f"ticket {n}", "target": labels[n % 2]} for n in range(1, count + 1)]


def write_jsonl(path: Path, rows: Sequence[object]) -> Path:
    """One JSON text a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@dataclass(frozen=True)
class Project:
    """A folder with a good spec, its prompt and its rows."""

    folder: Path

    @property
    def cache(self) -> Path:
        return self.folder / ".harness" / "data"

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def spec(self, *changes: tuple[str, str]) -> Path:
        """The spec file after replacing each text by another; a text that is not there is a mistake."""
        text = SPEC
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        return self.write("triage.yaml", text)

    def plan(self, *changes: tuple[str, str], **overrides: Any) -> Plan:
        options: dict[str, Any] = {"catalogue": CATALOGUE, "cache": self.cache} | overrides
        text = options.pop("spec_text", None)
        path = self.spec(*changes) if text is None else self.write("triage.yaml", text)
        return make_plan(path, **options)

    def faults(self, *changes: tuple[str, str], **overrides: Any) -> tuple[Problem, ...]:
        """What is wrong after these changes; the files are named relative to the project."""
        with pytest.raises(SpecError) as caught:
            self.plan(*changes, **overrides)
        base = f"{self.folder}/"
        return tuple(
            Problem(one.file.removeprefix(base), one.line, one.key, one.message.replace(base, ""))
            for one in caught.value.problems
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that plans without a fault: 40 rows, one prompt, three providers."""
    made = Project(tmp_path)
    made.write("prompts/ask.jinja", "Which label fits?\n{{ text }}\n")
    write_jsonl(tmp_path / "tickets.jsonl", some_rows(40))
    return made


@pytest.fixture
def rows_of() -> Callable[[int], list[dict[str, Any]]]:
    """Makes that many rows."""
    return some_rows


@pytest.fixture
def jsonl() -> Callable[[Path, Sequence[object]], Path]:
    """Writes rows to a path."""
    return write_jsonl


@pytest.fixture
def catalogue() -> Catalogue:
    """Three providers and the models that tests need."""
    return CATALOGUE
