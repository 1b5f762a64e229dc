"""Every setting of every model in the catalogue, held against the request that really goes out.

Each model is asked twice through the lane that a run would take, with a setting and without: what differs
between the two captured bodies is what the setting does. What the catalogue takes must arrive, with its
value; what it does not take must be refused by a plan, for litellm drops, renames or sends it. The table is
`docs/reference/settings.md`; HARNESS_UPDATE=1 writes it anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.calls.direct_lane import DirectProvider
from harness.calls.lanes import open_provider
from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import Provider, ProviderFault
from harness.catalogue.models import Model, load_catalogue
from harness.errors import SpecError
from harness.plan.planner import make_plan
from harness.plan.spec import SEARCHABLE
from harness.records import SENT_FIELDS, Call, Endpoint, Message, Settings
from harness.testing.http_server import SimulatorServer
from harness.testing.traffic import Kept

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
TABLE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
CATALOGUE = load_catalogue()
# A provider without models serves what you start it with: one that stands for these.
YOURS = [
    Model(
        provider=name,
        name="your-model",
        model_class="SMALL",
        prices=None,
        settings=facts.unlisted or {},
    )
    for name, facts in CATALOGUE.providers.items()
    if all(model.provider != name for model in CATALOGUE.models)
]
CURRENT = [model for model in (*CATALOGUE.models, *YOURS) if not model.retired]
CHAT = [model for model in CURRENT if model.model_class != "EMBEDDING"]
# What is asked for where the model takes it, as near as its range and choices allow.
TYPICAL: dict[str, Any] = {
    "temperature": 0.5,
    "top_p": 0.9,
    "max_output_tokens": 64,
    "frequency_penalty": 0.5,
    "presence_penalty": 0.25,
    "stop": ("END",),
    "seed": 7,
    "reasoning_effort": "low",
}
SEARCHABLE_HERE = [name for name in TYPICAL if name in SEARCHABLE]
# The simulator's address as each prefix of litellm wants it; the others take OpenAI's.
PATHS = {
    **dict.fromkeys(("anthropic", "ollama_chat", "azure", "bedrock", "vertex_ai"), ""),
    "gemini": "/v1beta",
}
ENVIRON = {"TEST_KEY": "my-own-secret-key"}
LEGEND = """# Settings on the wire

Written by `tests/calls/test_settings_on_the_wire.py` from captured requests: each model was asked with each
setting through the lane that a run takes, and the body that went out was compared with the one without it. A
name in the table is the key under which the setting went out, with the value asked for. Where a model does
not take a setting, a plan refuses it, or leaves it out under `on_unsupported: condition`; the mark says what
would become of it otherwise:

- **✗** litellm refuses it before anything is sent
- **dropped** litellm leaves it out without a word: two different settings would be one
- **→ key** it would go out under this key, and the provider refuses it or gives it another meaning

"""


@dataclass
class Wire:
    """The simulator, the lanes to it by provider, and why the last question was refused, if it was."""

    server: SimulatorServer
    runner: asyncio.Runner
    lanes: dict[str, Provider]
    refusal: ProviderFault | None = None

    def lane(self, model: Model) -> Provider:
        """The lane that a run would take to this model."""
        facts = CATALOGUE.providers[model.provider]
        if model.provider not in self.lanes:
            url = self.server.url + PATHS.get(facts.litellm_prefix, "/v1")
            endpoint = Endpoint(
                provider=model.provider,
                wire=facts.wire,
                litellm_prefix=facts.litellm_prefix,
                api_base=url,
                api_key_env="TEST_KEY",
            )
            # A model of this machine is spoken to as any other of OpenAI's format, once it runs.
            embedded = facts.wire == "embedded"
            self.lanes[model.provider] = (
                DirectProvider(url) if embedded else open_provider(endpoint, [model], ENVIRON)
            )
        return self.lanes[model.provider]

    def kept(self) -> list[Kept]:
        """The questions that came; litellm asks Ollama about a model beside them, once."""
        return [one for one in self.server.kept() if one.path != "/api/show"]

    def body(self, model: Model, settings: Mapping[str, Any]) -> dict[str, Any] | None:
        """What goes out for these settings, by path of its key; `None`: refused before anything does."""
        messages = (Message("system", "Answer briefly."), Message("user", "Where is my parcel?"))
        sent = Settings(model=model.full_name, prompt="plain", **settings)
        before, self.refusal = len(self.kept()), None
        try:
            self.runner.run(self.lane(model).complete(Call(settings=sent, sample_id="s1", messages=messages)))
        except ProviderFault as fault:
            self.refusal = fault
            if fault.kind == "bad_request" and len(self.kept()) == before:
                return None
        (kept,) = self.kept()[before:]
        return dict(leaves(json.loads(kept.body)))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All values of a body that are no mappings, by their dotted path."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


@pytest.fixture(scope="module")
def wire(google_account) -> Iterator[Wire]:
    """One simulator, one loop and one lane a provider for all."""
    with SimulatorServer(keep=True) as server, asyncio.Runner() as runner:
        made = Wire(server, runner, {})
        yield made
        for lane in made.lanes.values():
            runner.run(lane.close())
        runner.run(LitellmProvider("openai").close())


@dataclass(frozen=True)
class Cell:
    """What became of one setting. keys: of the body that it changed, with their values; `None`: refused.

    refusal: of the simulated provider, which checks what each format does.
    """

    model: Model
    name: str
    value: Any
    keys: Mapping[str, Any] | None
    refusal: ProviderFault | None = None

    @property
    def taken(self) -> bool:
        """Whether the catalogue says that the model takes it."""
        return self.name in self.model.settings

    def shown(self) -> str:
        """The cell of the table."""
        if self.keys is None:
            return "✗"
        keys = ", ".join(f"`{key.rpartition('.')[2]}`" for key in self.keys)
        if not keys:
            return "dropped"
        return keys if self.taken else f"→ {keys}"


def value_of(model: Model, name: str) -> Any:
    """A value that the model takes, the typical one if it can be."""
    accepts = model.settings.get(name)
    typical = TYPICAL[name]
    if accepts is None:
        return typical
    if accepts.choices is not None:
        return typical if typical in accepts.choices else accepts.choices[-1]
    if not isinstance(typical, int | float):
        return typical
    return min(max(typical, accepts.low or typical), typical if accepts.high is None else accepts.high)


def cell(wire: Wire, model: Model, name: str) -> Cell:
    """Ask with and without, and compare."""
    beside: dict[str, Any] = {}
    if "max_output_tokens" in model.settings:
        beside["max_output_tokens"] = 32  # every run sends one
    accepts = model.settings.get(name)
    for other, values in (accepts.only_with if accepts else {}).items():
        if None not in values:
            beside[other] = values[0]
    value = value_of(model, name)
    without = wire.body(model, beside)
    assert without is not None
    asked = wire.body(model, beside | {name: value})
    if asked is None:
        return Cell(model, name, value, None)
    changed = {key: found for key, found in asked.items() if key not in without or without[key] != found}
    return Cell(model, name, value, changed, wire.refusal)


@pytest.fixture(scope="module")
def cells(wire) -> list[Cell]:
    """The whole table: every setting of every model that answers in words."""
    return [cell(wire, model, name) for model in CHAT for name in SENT_FIELDS]


def test_a_setting_that_is_taken_arrives_with_its_value(cells):
    """No lane drops, bends or refuses what the catalogue says a model takes, and its provider answers."""
    lost = [
        f"{one.model.full_name} {one.name}={one.value!r}: {one.keys}"
        for one in cells
        if one.taken and not one.keys
    ]
    assert lost == []
    assert [one for one in cells if one.taken and one.refusal] == []
    for one in cells:
        if one.taken and one.name != "reasoning_effort":  # its words differ by provider
            value = list(one.value) if isinstance(one.value, tuple) else one.value
            assert list(one.keys.values()) == [value], (one.model.full_name, one.name)


# What goes out although nobody asked for it, by key, and why.
UNASKED = {
    "model": "some formats name it in the body",
    "stream": "Ollama streams unless told otherwise",
    "anthropic_version": "Vertex wants it",
    "temperature": "litellm sends 1, Google's own default, to Gemini 3 where none is asked for",
}
CONVERSATIONS = ("messages", "system", "contents", "system_instruction")


def test_nothing_goes_out_that_was_not_asked_for(wire):
    """Beside the conversation and the output limit that every run sends, nothing without a reason."""
    seen = set()
    for model in CHAT:
        body = wire.body(model, {"max_output_tokens": 33})
        more = {key for key, value in body.items() if value != 33}
        rest = {key for key in more if key.partition(".")[0] not in CONVERSATIONS}
        last = {key.rpartition(".")[2]: body[key] for key in rest}
        assert last.keys() <= UNASKED.keys(), (model.full_name, rest)
        assert last.get("temperature", 1) == 1
        assert "temperature" not in last or model.name.startswith("gemini-3")
        seen |= last.keys()
    assert seen == UNASKED.keys()


def test_each_effort_is_a_request_of_its_own(wire):
    """The words differ by provider, but no two of them mean the same."""
    for model in CHAT:
        accepts = model.settings.get("reasoning_effort")
        if accepts is None:
            continue
        beside = {"max_output_tokens": 8192}
        bodies = [wire.body(model, beside | {"reasoning_effort": word}) for word in accepts.choices]
        assert None not in bodies, model.full_name
        assert len({json.dumps(body, sort_keys=True) for body in bodies}) == len(bodies), model.full_name


PLAN = """\
experiment: refused
task: {{dataset: rows.jsonl, prompt: "{{{{ text }}}}", scorers: [exact], metric: accuracy}}
search: {search}
budget: {{calls: 100}}
failures: count_as_wrong
"""


@pytest.mark.parametrize("provider", sorted({model.provider for model in CHAT if model not in YOURS}))
def test_a_setting_that_is_not_taken_never_gets_as_far_as_a_lane(provider, tmp_path):
    """Whatever litellm would make of it, a plan refuses it first, at its key and with the model's name."""
    rows = "".join(json.dumps({"id": str(n), "text": f"t{n}", "target": "x"}) + "\n" for n in range(20))
    (tmp_path / "rows.jsonl").write_text(rows, encoding="utf-8")
    for model in CHAT:
        asked = {name: TYPICAL[name] for name in SEARCHABLE_HERE if name not in model.settings}
        # Without a price a model is refused whatever is asked of it.
        if model.provider != provider or model.prices is None or not asked:
            continue
        search = json.dumps({"models": [model.full_name], **asked})
        (tmp_path / "spec.yaml").write_text(PLAN.format(search=search), encoding="utf-8")
        with pytest.raises(SpecError) as caught:
            make_plan(tmp_path / "spec.yaml")
        told = {one.key for one in caught.value.problems if model.full_name in one.message}
        assert told == {f"search.{name}" for name in asked}, (model.full_name, caught.value)


@pytest.mark.parametrize(("name", "value"), [("top_k", 5), ("custom_param", "of one's own")])
def test_custom_parameters_are_passed_through_or_refused(wire, name, value):
    """`extra` goes out as it is, beside the settings that have a name here; it is never dropped."""
    arrived = 0
    for model in CHAT:
        beside = {"max_output_tokens": 32}
        without = wire.body(model, beside)
        asked = wire.body(model, beside | {"extra": {name: value}})
        if asked is None:
            continue
        changed = [found for key, found in asked.items() if without.get(key) != found]
        assert changed == [value], model.full_name
        arrived += 1
    assert arrived > len(CHAT) / 2


def test_the_table_is_the_one_in_the_documentation(cells):
    """What is published is what was captured."""
    written = table(cells)
    if os.environ.get("HARNESS_UPDATE"):
        TABLE.write_text(written, encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == written, "run this test with HARNESS_UPDATE=1"


def table(cells: list[Cell]) -> str:
    """The table, a section a provider and a row a model, by class."""
    parts = [LEGEND]
    for provider, facts in CATALOGUE.providers.items():
        models = [model for model in (*CATALOGUE.models, *YOURS) if model.provider == provider]
        lane = {"openai": "direct lane", "litellm": "litellm", "embedded": "embedded server"}[facts.wire]
        parts.append(f"## {provider} ({lane})\n\n")
        parts.append(f"| class | model | {' | '.join(SENT_FIELDS)} |\n|{' --- |' * (2 + len(SENT_FIELDS))}\n")
        parts += [row(model, cells) for model in sorted(models, key=by_class)]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def by_class(model: Model) -> tuple[bool, int, str]:
    """Current models first, from small to large."""
    return model.retired, ["SMALL", "MEDIUM", "LARGE", "EMBEDDING"].index(model.model_class), model.name


def row(model: Model, cells: list[Cell]) -> str:
    """One model's row; of what cannot be asked, why."""
    shown = {one.name: one.shown() for one in cells if one.model is model}
    model_class = "any" if model in YOURS else model.model_class
    if model.retired:
        why = f"retired: a spec that names it is refused, and told of {model.successor}"
    elif model.model_class == "EMBEDDING":
        own = ", ".join(f"`{name}`" for name in model.settings)
        why = f"gives vectors: takes none of these{own and f', but {own}'}"
    else:
        return f"| {model_class} | {model.name} | {' | '.join(shown[name] for name in SENT_FIELDS)} |\n"
    return f"| {model.model_class} | {model.name} | {why} |{' |' * (len(SENT_FIELDS) - 1)}\n"


def test_a_retired_model_is_never_asked():
    """It is refused by name, with its successor; the table says so."""
    from harness.errors import CatalogueError

    retired = [model for model in CATALOGUE.models if model.retired]
    assert retired
    for model in retired:
        with pytest.raises(CatalogueError, match="retired") as caught:
            CATALOGUE.find(model.full_name)
        assert f"{model.provider}/{model.successor}" in str(caught.value)
