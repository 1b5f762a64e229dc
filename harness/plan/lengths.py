"""Prompts that are longer than a model takes, found before anything is sent.

In: prompts, models, and rows while these are read; afterwards the examples that prompts show. Out: a message
for a row that makes too long a prompt: how many tokens, the limit, and the ways out. A prompt whose bytes fit
is not counted at all, since a token is at least one byte; others are counted by the model's own tokenizer
where it is here, else estimated from above.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.catalogue.bounds import most_input_tokens
from harness.catalogue.models import Model
from harness.errors import Problem, PromptError
from harness.plan.encodings import O200K, counter, encoding_of
from harness.plan.rows import Rows
from harness.plan.shots import Shots, ShotVariants
from harness.plan.vocabulary import Vocabularies, tokenizer_count, tokenizer_of
from harness.prompts import Prompt, Shot
from harness.records import JsonValue, Message

if TYPE_CHECKING:
    from harness.plan.long_inputs import LongInputs

FRAME = 4  # tokens around each message, and around all of them, in OpenAI's chat format
# Other vocabularies cut the same text into more tokens than o200k. Measured with one of 49,152 entries: 0 to
# 17 % more in English, but 60 % in numbers, 88 % in German and 169 % in Japanese; those of hosted models are
# larger. A prompt that is longer than estimated is refused by its provider, as a failed call.
MARGIN = 0.2
# Code of a template that may repeat or lengthen what a row holds, and how far it is thought to go: a prompt
# that is longer still is refused by its provider, as a failed call.
REPEATING = ("{% for", "{%- for", "macro", "*", "|")
REPEATS = 64


@dataclass(frozen=True, slots=True)
class Count:
    """Tokens of a prompt. exact: by the model's own tokenizer, else from above."""

    tokens: int
    exact: bool


def longest_prompt(model: Model, least_output: int, most: int | None) -> int | None:
    """The most tokens that a prompt for this model may have; `None` when nobody knows.

    least_output: the shortest answer that is asked for, which has to fit beside the prompt where the two
    share the context, as they do unless a limit of prompts is stated. most: as the spec says.
    """
    own, shared = model.max_input_tokens, shared_context(model)
    if shared is not None:
        own = max(1, shared - least_output)
    return min((one for one in (own, most) if one is not None), default=None)


def shared_context(model: Model) -> int | None:
    """The tokens that prompt and answer of this model share; `None`: counted apart, or nobody knows."""
    return model.context_tokens if model.max_input_tokens is None else None


def longest_prompts(models: Mapping[str, Model], least_output: int, most: int | None) -> dict[str, int]:
    """As `longest_prompt`, by model; those of which nobody knows are left out."""
    found = {name: longest_prompt(model, least_output, most) for name, model in models.items()}
    return {name: longest for name, longest in found.items() if longest is not None}


class LengthCheck:
    """Holds the prompts that rows make against limits.

    limits: by model, its longest prompt in tokens. long: what becomes of long inputs before, `None`: nothing.
    form: the schema of answers that is sent with each of them, and stands in the prompt as well.
    """

    def __init__(
        self,
        prompts: Mapping[str, Prompt],
        models: Sequence[Model],
        limits: Mapping[str, int],
        long: LongInputs | None = None,
        *,
        form: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self._prompts = prompts
        self._beside = {} if form is None else {"form": dict(form)}
        self._form = () if form is None else (Message("system", json.dumps(form, ensure_ascii=False)),)
        self._long = long
        self._models = sorted(
            (model for model in models if model.full_name in limits),
            key=lambda model: limits[model.full_name],
        )
        self._limits = limits
        self._least = min(limits.values(), default=None)
        self._template = {name: self._bound([one.source]) for name, one in prompts.items()}
        self._uses = {name: _uses(one.source) for name, one in prompts.items()}
        self._longest_row = 0  # bytes
        self._longest_inputs: Mapping[str, JsonValue] = {}
        self._longest_shown = 0  # a bound on the tokens of a prompt with examples
        self._own = Vocabularies()

    def row(self, inputs: Mapping[str, JsonValue]) -> str | None:
        """Why a row cannot be asked, as a message; `None`: every prompt of it fits every model."""
        if self._least is None:
            return None
        size = _size(inputs)
        if size >= self._longest_row:
            self._longest_row, self._longest_inputs = size, inputs
        for variant, prompt in self._prompts.items():
            if self._template[variant] + self._uses[variant] * size <= self._least:
                continue
            for message in self._faults(f"prompt {variant!r}", prompt, inputs):
                return message
        return None

    def with_shots(self, variants: ShotVariants, rows: Rows) -> Iterator[Problem]:
        """Faults of the rows whose prompts are too long with the examples that they show.

        rows: those that `row` was asked of; they are read again only where some prompt may be too long.
        """
        for variant, shots in variants.shots.items():
            prompt = variants.prompts[variant]
            if not shots.n or self._least is None:
                continue
            most = self._most(prompt, shots, rows)
            self._longest_shown = max(self._longest_shown, most)
            if most <= self._least:
                continue
            what = f"prompt {variant!r} and {shots.n} example{'' if shots.n == 1 else 's'}"
            for sample_id in rows.ids("all"):
                sample = rows.sample(sample_id)
                for message in self._faults(what, prompt, sample.inputs, shots.of(sample)):
                    yield rows.fault(sample_id, message)
                    break

    def room(self, model: Model, wanted: int) -> int | None:
        """The longest answer that fits beside every prompt, in tokens; `None`: one of `wanted` tokens does.

        To be asked when the rows were read. Prompts count by their bytes, a bound, unless these leave less
        than half of the context: then the longest row's are counted, from above if need be.
        """
        context = shared_context(model)
        if context is None or self._least is None:
            return None
        each = [messages for prompt in self._prompts.values() for messages in self._longest_of(prompt)]
        bounds = [self._bound(message.content for message in messages) for messages in each]
        longest = max((*bounds, self._longest_shown))
        if longest + wanted > context and 2 * longest > context and longest != self._longest_shown:
            counts = (self._count(model, messages).tokens for messages in each)
            longest = max((*counts, self._longest_shown))
        return None if longest + wanted <= context else max(1, context - longest)

    def _longest_of(self, prompt: Prompt) -> list[tuple[Message, ...]]:
        """The prompts that the longest row makes; none where its template fails, which is told elsewhere."""
        try:
            if self._long is None:
                return [prompt.render(self._longest_inputs, ())]
            return list(self._long.rendered(prompt, self._longest_inputs))
        except PromptError:
            return []

    def _most(self, prompt: Prompt, shots: Shots, rows: Rows) -> int:
        """A bound on the tokens of this prompt with its examples, whatever the row.

        One prompt as it is, with the longest row and the longest examples on top.
        """
        some = rows.sample(rows.ids("all")[0])
        try:
            rendered = prompt.render(some.inputs, shots.of(some))
        except PromptError:
            return 0  # told by whoever checks the templates
        longest = max(_size(one.inputs) + _bytes(one.target) for one in shots.pool)
        more = _uses(prompt.source) * (self._longest_row + shots.n * longest)
        return self._bound(message.content for message in rendered) + more

    def _faults(
        self, what: str, prompt: Prompt, inputs: Mapping[str, JsonValue], shots: Sequence[Shot] = ()
    ) -> Iterator[str]:
        try:
            if self._long is None:
                each = [prompt.render(inputs, shots)]
            else:
                each = list(self._long.rendered(prompt, inputs, shots))
        except PromptError:
            return  # told by whoever checks the templates
        for messages in each:
            yield from self._above(what, messages)

    def _above(self, what: str, messages: Sequence[Message]) -> Iterator[str]:
        """A message for each model that does not take this prompt."""
        bound = self._bound(message.content for message in messages)
        for model in self._models:
            limit = self._limits[model.full_name]
            if bound <= limit:
                continue
            count = self._count(model, messages)
            if count.tokens > limit:
                yield _too_long(model, f"{what} and its schema" if self._form else what, count, limit)

    def _bound(self, texts: Iterable[str]) -> int:
        return most_input_tokens(texts, self._beside)

    def _count(self, model: Model, messages: Sequence[Message]) -> Count:
        return count_tokens(model, (*messages, *self._form), self._own)


def count_tokens(model: Model, messages: Sequence[Message], own: Vocabularies) -> Count:
    """The tokens of these messages for this model, counted on this machine. own: of models that run here."""
    exactly = own.count(model, messages)
    beside = _beside(model) if model.model_class == "EMBEDDING" else None
    if beside is not None:
        exactly = sum(beside(message.content) for message in messages)
    if exactly is not None:
        return Count(exactly, exact=True)
    encoding = encoding_of(model)
    count, frame = counter(encoding or O200K), 0 if model.model_class == "EMBEDDING" else FRAME
    tokens = sum(count(message.content) + frame for message in messages) + frame
    if encoding is not None:
        return Count(tokens, exact=True)
    return Count(math.ceil(tokens * (1 + MARGIN)), exact=False)


def token_count(model: Model) -> Callable[[str], int]:
    """Who counts the tokens of a text for this model: the same function for the same vocabulary.

    Exact with OpenAI's own encoding, and where the model's tokenizer stands beside its weights on this
    machine; else from above, see `count_tokens`.
    """
    encoding = encoding_of(model)
    if encoding is not None:
        return counter(encoding)
    return _beside(model) or _other_tokens


def _beside(model: Model) -> Callable[[str], int] | None:
    """Who counts a text by the tokenizer beside the model's weights; `None`: there is none here."""
    file = None if model.weights is None else tokenizer_of(model.weights)
    return None if file is None else tokenizer_count(file)


def _other_tokens(text: str) -> int:
    return math.ceil(counter(O200K)(text) * (1 + MARGIN))


def _too_long(model: Model, what: str, count: Count, limit: int) -> str:
    counted = (
        f"{count.tokens} tokens"
        if count.exact
        else f"about {count.tokens} tokens (estimated with OpenAI's tokenizer and {MARGIN:.0%} on top: that "
        "of the model is not here)"
    )
    made, ways = "prompt", "shorten the row, let task.long_inputs cut it"
    if model.model_class == "EMBEDDING":
        made, ways = "text", f"let search.chunk_tokens: {limit} cut it, shorten it"
    return (
        f"makes a {made} of {counted} with {what}, and {model.full_name} takes {limit}; {ways}, leave it "
        f"out, search models that take longer {made}s, or, if the model does take it, say so under "
        f"providers.{model.provider}.models.{model.name}.max_input_tokens"
    )


def _uses(source: str) -> int:
    """How often a template may write what a row holds."""
    return source.count("{{") * (REPEATS if any(code in source for code in REPEATING) else 1)


def _size(inputs: Mapping[str, JsonValue]) -> int:
    return sum(_bytes(value) for value in inputs.values())


def _bytes(value: JsonValue) -> int:
    text = value if isinstance(value, str) else repr(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
