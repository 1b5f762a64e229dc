"""Models of vectors that litellm asks, each in its provider's own format: what goes out, and what comes back.

The simulator speaks these formats over HTTP and keeps what arrives. What the catalogue says that a model
takes must arrive, with its value; what it answers must be read, with its bill; what it refuses must be a
fault of a kind that the engine knows how to treat.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness.calls.litellm_lane import LitellmProvider
from harness.calls.provider import ProviderFault
from harness.catalogue.models import Model, load_catalogue
from harness.loading import load_litellm
from harness.records import Call, Settings
from harness.testing.faults import Fault, FaultKind, Moment
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import FixedAnswers
from harness.testing.tokens import count_tokens
from harness.testing.vectors import vectors_of
from harness.vectors import numbers_of

pytestmark = [
    # Loading litellm takes some four seconds.
    pytest.mark.slow,
    # litellm silences these when it is loaded, and pytest forgets it before each test.
    pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Accessing the .* attribute on the instance:DeprecationWarning"),
]
KEY = "my-own-secret-key"
CATALOGUE = load_catalogue()
MODELS = [
    model
    for model in CATALOGUE.models
    if model.model_class == "EMBEDDING"
    and not model.retired
    and CATALOGUE.providers[model.provider].wire == "litellm"
]
TEXTS = ("Where is my parcel?", "Ich möchte mein Konto schließen.", "charged twice")
# The simulator's address as each prefix of litellm wants it; the others take OpenAI's.
PATHS = {**dict.fromkeys(("ollama_chat", "azure", "bedrock", "vertex_ai"), ""), "gemini": "/v1beta"}
# By prefix and parameter: where it stands in the body, where that is not its own name.
PLACES = {
    ("gemini", "dimensions"): "requests.0.outputDimensionality",
    ("gemini", "task_type"): "requests.0.taskType",
    ("vertex_ai", "dimensions"): "parameters.outputDimensionality",
    ("vertex_ai", "task_type"): "instances.0.task_type",
}
# Formats whose answers tell no tokens: they are counted here, by the tokenizer that litellm has at hand.
UNCOUNTED = ("google/", "bedrock/cohere.")
FAULTS: dict[FaultKind, tuple[str, bool]] = {
    "401": ("credentials", False),
    "429": ("rate_limit", False),
    "503": ("overloaded", False),
    "toolong": ("too_long", False),
    "badjson": ("malformed", True),
    "reset": ("connection", True),
}


class Wire:
    """The simulator with a fault of the moment, and lanes to it."""

    def __init__(self) -> None:
        self.kind: FaultKind | None = None
        self.server = SimulatorServer(FixedAnswers(), faults=self._fault, keep=True)

    def _fault(self, _moment: Moment) -> Fault | None:
        return None if self.kind is None else Fault(self.kind)

    def lane(self, model: Model) -> LitellmProvider:
        prefix = CATALOGUE.providers[model.provider].litellm_prefix
        return LitellmProvider(prefix, self.server.url + PATHS.get(prefix, "/v1"), KEY)

    def bodies(self) -> list[dict[str, Any]]:
        """What was asked; litellm asks Ollama about a model beside it, once."""
        return [json.loads(kept.body) for kept in self.server.kept() if kept.path != "/api/show"]


@pytest.fixture(scope="module")
def wire(google_account) -> Iterator[Wire]:
    """One for all."""
    made = Wire()
    with made.server:
        yield made


@pytest.fixture
def ask(wire, run):
    """Has texts embedded: gives the reply and the body that went out, or the fault."""

    def act(model: Model, texts: tuple[str, ...], kind: FaultKind | None = None, **extra: Any):
        wire.server.reset()
        wire.kind = kind
        settings = Settings(model=model.full_name, prompt="", extra=extra)
        call = Call(settings=settings, sample_id="s1", texts=texts, purpose="embed")
        try:
            reply = run(wire.lane(model).complete(call))
        except ProviderFault as fault:
            return fault, None
        (body,) = wire.bodies()
        return reply, body

    return act


ALL = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.full_name)


def texts_for(model: Model) -> tuple[str, ...]:
    """As many texts as one request may carry, three at most."""
    return TEXTS[: model.texts_per_request or len(TEXTS)]


def at(body: dict[str, Any], place: str) -> object:
    """What stands there in a body; `None`: nothing."""
    found: Any = body
    for part in place.split("."):
        found = found[int(part)] if isinstance(found, list) else found.get(part)
    return found


@ALL
def test_vectors_and_their_bill_are_read(ask, wire, model):
    """In the order of the texts, in one request, with the tokens that it cost."""
    texts = texts_for(model)
    uses = {name: accepts.uses["query"] for name, accepts in model.settings.items() if accepts.uses}
    reply, _ = ask(model, texts, **uses)
    for vector, expected in zip(reply.vectors, vectors_of(texts), strict=True):
        assert numbers_of(vector) == pytest.approx(numbers_of(expected), abs=1e-6)
    counted = load_litellm().token_counter if model.full_name.startswith(UNCOUNTED) else None
    expected = sum(count_tokens(one) if counted is None else counted(model="", text=one) for one in texts)
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (expected, 0)
    assert wire.server.stats().charged == 1


@ALL
def test_every_setting_that_the_catalogue_states_arrives(ask, model):
    """With its value, and with nothing else of the body changed by it."""
    prefix = CATALOGUE.providers[model.provider].litellm_prefix
    for name, accepts in model.settings.items():
        values = accepts.choices or (int(accepts.low or 1) + 1,)
        for value in values:
            _, body = ask(model, texts_for(model), **{name: value})
            assert at(body, PLACES.get((prefix, name), name)) == value


@ALL
def test_what_a_text_is_for_is_asked_for_each_of_them(ask, model):
    """The provider's word for each use is one that it takes."""
    for name, accepts in model.settings.items():
        for use in accepts.uses.values():
            _, body = ask(model, texts_for(model), **{name: use})
            assert body is not None
            assert json.dumps(body).count(json.dumps(use)) >= 1


@ALL
@pytest.mark.parametrize("kind", FAULTS)
def test_a_refusal_is_a_fault_of_its_kind(ask, model, kind):
    """Also of vectors, and without the key in its words."""
    fault, _ = ask(model, texts_for(model), kind)
    assert isinstance(fault, ProviderFault)
    assert (fault.kind, fault.billed) == FAULTS[kind]
    assert KEY not in f"{fault} {fault.message}"
