"""Where the simulator's answers come from: a world of known truth, or one fixed text.

In: a question. Out: a reply with its true price. The same question gets the same reply, always. Knows
neither HTTP nor faults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.catalogue.models import Prices, price_usd
from harness.errors import UsageError
from harness.fingerprint import share
from harness.plan.plan import Plan
from harness.records import SENT_FIELDS, Latency, Message, Reply, Settings, Usage
from harness.testing.embedding import EmbeddingModel
from harness.testing.tokens import TOKENS, WORDS, count_tokens
from harness.testing.wire import Question, Refusal
from harness.testing.worlds import World

# Invented, in USD per million tokens.
FIXED_PRICES = Prices(input=1.0, output=4.0)
LISTED_MODELS = ("sim-small", "sim-large")


@dataclass(frozen=True, slots=True)
class Answered:
    """A reply with what it truly costs. latency: the source's own idea of it; `None`: it has none."""

    reply: Reply
    price_usd: float
    latency: Latency | None = None


class Source(Protocol):
    """Answers questions, and says what answering them costs."""

    def models(self) -> Sequence[str]:
        """Names of the models that are offered."""
        ...

    def answer(self, question: Question) -> Answered | Refusal:
        """The answer, a function of the question alone."""
        ...


class FixedAnswers:
    """One text for every question, whatever the model: for benchmarks and tests of what lies around answers.

    prices: of every model, or by the name the request uses; a model that is not among them is refused.
    cached_share: of each prompt that is read from the provider's cache; written_share: of the rest that is
    written to it. reasoning_tokens: spent before each answer, on top of what its limit bounds.
    """

    def __init__(
        self,
        text: str = "ok",
        prices: Prices | Mapping[str, Prices] = FIXED_PRICES,
        *,
        cached_share: float = 0.0,
        written_share: float = 0.0,
        reasoning_tokens: int = 0,
    ) -> None:
        self._text = text
        self._tokens = count_tokens(text)
        self._prices = prices
        self._cached_share = cached_share
        self._written_share = written_share
        self._reasoning_tokens = reasoning_tokens

    def models(self) -> Sequence[str]:
        """Those that have a price; two examples when all have the same."""
        return LISTED_MODELS if isinstance(self._prices, Prices) else tuple(self._prices)

    def answer(self, question: Question) -> Answered | Refusal:
        """The text, cut off where the question's limit says."""
        prices = self._prices if isinstance(self._prices, Prices) else self._prices.get(question.model)
        if prices is None:
            return _no_model(question.model)
        text, tokens, reason = self._text, self._tokens, "stop"
        if question.texts:
            return embedded(question, prices, EmbeddingModel())
        limit = question.settings.get("max_output_tokens")
        if isinstance(limit, int) and limit < tokens:
            text = " ".join(text.split()[: limit * WORDS // TOKENS])
            tokens, reason = limit, "length"
        usage = self._usage(_input_tokens(question), tokens)
        reply = Reply(text=text, finish_reason=reason, usage=usage, served_by=question.model)
        return Answered(reply, price_usd(usage, prices))

    def _usage(self, input_tokens: int, output_tokens: int) -> Usage:
        cached = int(self._cached_share * input_tokens)
        return Usage(
            input_tokens=input_tokens,
            cached_input_tokens=cached,
            cache_write_tokens=int(self._written_share * (input_tokens - cached)),
            output_tokens=output_tokens + self._reasoning_tokens,
            reasoning_tokens=self._reasoning_tokens,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a rendered prompt comes from."""

    sample_id: str
    prompt: str


@dataclass(frozen=True, slots=True)
class PromptTable:
    """Which sample and prompt variant some messages are: what a request does not say.

    seed and repeats: those of the plan, which decide the seeds that repeats are sent with.
    """

    places: Mapping[bytes, Place]
    seed: int = 0
    repeats: int = 1

    @classmethod
    def of(cls, plan: Plan) -> PromptTable:
        """The table of a plan: every sample in every prompt variant.

        Raises UsageError when two of them give the same messages, which no server can tell apart.
        """
        rows, places = plan.task.rows, dict[bytes, Place]()
        for sample_id in (*rows.ids("search"), *rows.ids("confirm")):
            sample = rows.sample(sample_id)
            for variant in plan.task.prompts:
                place = Place(sample_id, variant)
                other = places.setdefault(messages_key(plan.task.messages(variant, sample)), place)
                if other != place:
                    raise UsageError(
                        f"sample {other.sample_id!r} in prompt {other.prompt!r} and sample {sample_id!r} in "
                        f"prompt {variant!r} give the same messages, so the simulator cannot tell them apart "
                        "over HTTP; make the rows or the prompts differ"
                    )
        return cls(places, plan.seed, plan.task.repeats)

    def find(self, messages: Sequence[Message]) -> Place | None:
        """Where these messages come from; `None`: from nowhere in this experiment."""
        return self.places.get(messages_key(messages))

    def repeat_of(self, sample_id: str, seed: int | None) -> int:
        """The repeat that this seed stands for: that of the plan, else the seed itself; 0 without one."""
        from harness.trials.evaluate import SEEDS

        if seed is None:
            return 0
        for repeat in range(self.repeats):
            if int(share(self.seed, sample_id, repeat) * SEEDS) == seed:
                return repeat
        return seed


@dataclass(frozen=True, slots=True)
class WorldAnswers:
    """Answers of a world, found by the messages of a question.

    pace: factor on the world's own latency; 0: answers have none.
    """

    world: World
    table: PromptTable
    pace: float = 0.0
    _names: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        short = {name.partition("/")[2]: name for name in self.world.models}
        object.__setattr__(self, "_names", short | {name: name for name in self.world.models})

    def models(self) -> Sequence[str]:
        """The world's models, as a request names them: without their provider."""
        return [name.partition("/")[2] for name in self.world.models]

    def answer(self, question: Question) -> Answered | Refusal:
        """The world's answer to the sample whose prompt this is; `seed` stands for the repeat."""
        model = self._names.get(question.model)
        if model is None:
            return _no_model(question.model)
        known = self.world.models[model]
        refused = sorted(known.refuses & question.settings.keys())
        if refused:
            message = f"Unsupported parameter: '{refused[0]}' is not supported with this model."
            return Refusal(400, "unsupported_parameter", message, refused[0])
        if question.texts:
            return embedded(question, known.prices, known.embedding or EmbeddingModel())
        place = self.table.find(question.messages)
        if place is None:
            message = "These messages are no prompt of the simulated experiment; start the simulator with it."
            return Refusal(400, "unknown_prompt", message, "messages")
        settings = _settings(question, model, place.prompt)
        repeat = self.table.repeat_of(place.sample_id, settings.seed)
        tokens = _input_tokens(question)
        try:
            reply = self.world.answer(settings, place.sample_id, repeat, input_tokens=tokens)
        except UsageError as error:
            return Refusal(400, "unknown_sample", str(error), "messages")
        price = price_usd(reply.usage, self.world.models[model].prices)
        return Answered(reply, price, self._latency(settings, place.sample_id, repeat, reply))

    def _latency(self, settings: Settings, sample_id: str, repeat: int, reply: Reply) -> Latency | None:
        if not self.pace:
            return None
        tokens = reply.usage.output_tokens or 0
        own = self.world.latency(settings, sample_id, repeat, output_tokens=tokens)
        first = None if own.first_token_s is None else own.first_token_s * self.pace
        return Latency(queue_s=0.0, total_s=own.total_s * self.pace, first_token_s=first)


def embedded(question: Question, prices: Prices, model: EmbeddingModel) -> Answered | Refusal:
    """The vectors of a question's texts; those of like texts are near each other."""
    refusal = model.refusal(question.texts)
    if refusal is not None:
        return refusal
    reply = model.answer(question.texts, question.settings.get("dimensions"), served_by=question.model)
    return Answered(reply, price_usd(reply.usage, prices))


def messages_key(messages: Sequence[Message]) -> bytes:
    """A short name of these messages, by roles and texts."""
    digest = hashlib.blake2b(digest_size=16)
    for message in messages:
        content = message.content.encode("utf-8", "surrogatepass")
        digest.update(f"{message.role}:{len(content)}:".encode())
        digest.update(content)
    return digest.digest()


def _settings(question: Question, model: str, prompt: str) -> Settings:
    sent: dict[str, Any] = {name: value for name, value in question.settings.items() if name in SENT_FIELDS}
    if isinstance(sent.get("stop"), list):
        sent["stop"] = tuple(sent["stop"])
    extra = {name: value for name, value in question.settings.items() if name not in SENT_FIELDS}
    return Settings(model=model, prompt=prompt, extra=extra, **sent)


def _input_tokens(question: Question) -> int:
    return sum(count_tokens(message.content) for message in question.messages) + question.beside_tokens


def _no_model(name: str) -> Refusal:
    message = f"The model '{name}' does not exist or you do not have access to it."
    return Refusal(404, "model_not_found", message, "model")
