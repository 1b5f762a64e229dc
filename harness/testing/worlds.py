"""A world of models whose true quality is known: what the simulator answers, and what a search should find.

In: settings, a sample, a repeat. Out: an answer that is the same in every process, and exact truth: the
expected quality, price and latency of any settings. It must not know clocks, providers or faults:
every face of the simulator asks this one.

The model of an answer: a sample has a difficulty d, normal with mean 0 and `difficulty_sd`; settings
have an ability a, in logits; an answer is right with probability logistic(a - d), and lost when
`max_output_tokens` cuts it off. Whether it is right is decided by a hash through a Gaussian copula: part
of the noise is common to all settings, part to the settings of one model, so that good and bad luck are
shared as they are among real models, while every probability stays exact. Source: the Rasch model
(Rasch 1960); the spread of difficulties, the copula and the surface are ours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING, Any, TypeVar

from harness.catalogue.models import Prices
from harness.errors import UsageError
from harness.fingerprint import share
from harness.records import Latency, Reply, Settings, Usage
from harness.testing.embedding import EmbeddingModel
from harness.testing.tokens import TOKENS, WORDS, tokens_of_words

if TYPE_CHECKING:
    from harness.plan.plan import Dimension, Space

# What providers take when no temperature is sent.
DEFAULT_TEMPERATURE = 1.0
# Shares of the noise of one answer: common to all settings, to those of one model, and these alone.
COMMON_NOISE, MODEL_NOISE, OWN_NOISE = 0.3, 0.3, 0.4
# A heat up to which sampling costs almost nothing, as it was measured on real models.
SAFE_HEAT = 0.7
FILLER = (
    "first look at what the text says then weigh every part of it against the question "
    "and only after that settle on what follows from these points taken together"
)
_Thing = TypeVar("_Thing")
_NORMAL = NormalDist()
# The trapezoidal rule converges exponentially for a smooth function under a normal density: with a
# step of 0.1 out to 8 standard deviations it is exact to rounding for any sensible spread.
_STEPS = [step / 10 for step in range(-80, 81)]
_NODES = [(z, _NORMAL.pdf(z) / 10) for z in _STEPS]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedModel:
    """One model of a world.

    ability: in logits; 2.0 is right on about four samples of five. best_temperature: where quality
    peaks. heat_sensitivity: factor on what temperature and penalties cost. first_token_s and
    tokens_per_s: medians; latency_sigma: sigma of the log-normal factor on both. refuses: names of
    settings that it answers with `bad_request` when they are sent. embedding: how it answers texts that are
    to be embedded; `None`: as `EmbeddingModel` says by default.
    """

    ability: float
    prices: Prices
    best_temperature: float = 0.3
    heat_sensitivity: float = 1.0
    first_token_s: float = 0.3
    tokens_per_s: float = 100.0
    latency_sigma: float = 0.3
    refuses: frozenset[str] = frozenset()
    embedding: EmbeddingModel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPrompt:
    """One prompt variant of a world.

    effect: logits added to every model's ability; by_model: added on top, by full name. min_words and
    max_words: words that a model writes before its label, evenly spread over samples, both ends included.
    """

    effect: float = 0.0
    by_model: Mapping[str, float] = field(default_factory=dict[str, float])
    min_words: int = 0
    max_words: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Models, prompts and samples with known truth.

    models: by full name ("sim/small"). prompts: by variant. labels: two or more single words. targets: the
    right label of each sample, by id. difficulty_sd: spread of difficulty over samples, in logits.
    Every question about an unknown model, prompt or sample raises UsageError.
    """

    models: Mapping[str, SimulatedModel]
    prompts: Mapping[str, SimulatedPrompt]
    labels: tuple[str, ...] = ("yes", "no")
    targets: Mapping[str, str] = field(default_factory=dict[str, str])
    difficulty_sd: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if len(set(self.labels)) < 2 or any(len(label.split()) != 1 for label in self.labels):
            raise UsageError(f"labels are {self.labels!r}, expected two or more different single words")
        for sample_id, target in self.targets.items():
            if target not in self.labels:
                raise UsageError(
                    f"the target of sample {sample_id!r} is {target!r}, expected one of {self.labels!r}"
                )

    def model(self, name: str) -> SimulatedModel:
        """The model of this full name."""
        return _known(self.models, name, "model")

    def prompt(self, name: str) -> SimulatedPrompt:
        """The prompt variant of this name."""
        return _known(self.prompts, name, "prompt")

    def ability(self, settings: Settings) -> float:
        """Ability of these settings in logits, truncation aside."""
        model, prompt = self.model(settings.model), self.prompt(settings.prompt)
        given = model.ability + prompt.effect + prompt.by_model.get(settings.model, 0.0)
        return given - model.heat_sensitivity * _strain(settings, model.best_temperature)

    def difficulty(self, sample_id: str) -> float:
        """Difficulty of one sample in logits, the same for all settings."""
        return self.difficulty_sd * self._normal("difficulty", sample_id)

    def success_probability(self, settings: Settings, sample_id: str) -> float:
        """The chance of a right and complete answer to this sample, over the noise of the world."""
        limit = settings.max_output_tokens
        if limit is not None and tokens_of_words(self._words(settings, sample_id) + 1) > limit:
            return 0.0
        return _logistic(self.ability(settings) - self.difficulty(sample_id))

    def true_quality(self, settings: Settings, samples: Iterable[str] | None = None) -> float:
        """The expected share of right answers; exact, nothing is drawn.

        samples: ids to average over; `None`: the population that all samples come from, which is
        what a quality measured on some of them is an estimate of.
        """
        if samples is not None:
            chances = [self.success_probability(settings, sample_id) for sample_id in samples]
            if not chances:
                raise UsageError("samples is empty, expected at least one id, or None for the population")
            return fmean(chances)
        limit = settings.max_output_tokens
        complete = fmean(limit is None or tokens <= limit for tokens in self._lengths(settings))
        ability = self.ability(settings)
        return complete * math.fsum(w * _logistic(ability - self.difficulty_sd * z) for z, w in _NODES)

    def true_usd_per_1k_calls(self, settings: Settings, *, input_tokens: float) -> float:
        """The expected list price of a thousand calls in USD over the population; exact.

        input_tokens: mean number of prompt tokens of a call.
        """
        prices = self.model(settings.model).prices.of_prompt(math.ceil(input_tokens))
        output_tokens = fmean(self._billed_lengths(settings))
        return (input_tokens * prices.input + output_tokens * prices.output) / 1e6 * 1000

    def true_latency_s(self, settings: Settings, quantile: float = 0.5) -> float:
        """This quantile (0 to 1, ends excluded) of the seconds of a call, over the population.

        Found by bisection in the mixture of log-normal times over answer lengths, to a millionth.
        """
        model = self.model(settings.model)
        spread = NormalDist(0.0, max(model.latency_sigma, 1e-9))
        medians = [
            math.log(model.first_token_s + tokens / model.tokens_per_s)
            for tokens in self._billed_lengths(settings)
        ]
        low, high = min(medians) - 10 * spread.stdev, max(medians) + 10 * spread.stdev
        while high - low > 1e-7:
            middle = (low + high) / 2
            reached = fmean(spread.cdf(middle - median) for median in medians)
            low, high = (middle, high) if reached < quantile else (low, middle)
        return math.exp(high)

    def grid(self, **values: Sequence[Any]) -> Iterator[Settings]:
        """Every model and prompt with every combination of these values: `grid(temperature=[0, 0.5])`."""
        for model, prompt in itertools.product(self.models, self.prompts):
            for row in itertools.product(*values.values()):
                yield Settings(model=model, prompt=prompt, **dict(zip(values, row, strict=True)))

    def best(self, candidates: Iterable[Settings], samples: Iterable[str] | None = None) -> Settings:
        """The candidate of the highest true quality, the first of equals; see `grid` and `candidates`."""
        known = None if samples is None else tuple(samples)
        best = max(candidates, key=lambda settings: self.true_quality(settings, known), default=None)
        if best is None:
            raise UsageError("candidates is empty, expected at least one Settings; see World.grid")
        return best

    def answer(self, settings: Settings, sample_id: str, repeat: int = 0, *, input_tokens: int = 0) -> Reply:
        """The answer to one call: it depends on these arguments and the world, and nothing else.

        input_tokens: of the prompt, counted by the caller. A right answer ends with the sample's target, a
        wrong one with another label, one that is cut off (`finish_reason` "length") with neither.
        """
        words = self._words(settings, sample_id)
        output_tokens, limit = tokens_of_words(words + 1), settings.max_output_tokens
        cut = limit is not None and output_tokens > limit
        if limit is not None and cut:
            words, output_tokens = limit * WORDS // TOKENS, limit
        text = " ".join(itertools.islice(itertools.cycle(self._filler()), words))
        if not cut:
            text = f"{text}\n{self._label(settings, sample_id, repeat)}".lstrip()
        usage = Usage(
            input_tokens=input_tokens,
            cached_input_tokens=0,
            cache_write_tokens=0,
            output_tokens=output_tokens,
            reasoning_tokens=0,
        )
        return Reply(
            text=text,
            finish_reason="length" if cut else "stop",
            usage=usage,
            served_by=settings.model_name,
        )

    def succeeds(self, settings: Settings, sample_id: str, repeat: int = 0) -> bool:
        """Whether this call is answered rightly; at temperature 0 every repeat is the first one."""
        chance = self.success_probability(settings, sample_id)
        moment = (sample_id, 0 if _heat(settings) <= 0 else repeat)
        noise = (
            math.sqrt(COMMON_NOISE) * self._normal("common", *moment)
            + math.sqrt(MODEL_NOISE) * self._normal("model", settings.model, *moment)
            + math.sqrt(OWN_NOISE) * self._normal("own", *_what_matters(settings), *moment)
        )
        return _NORMAL.cdf(noise) < chance

    def latency(self, settings: Settings, sample_id: str, repeat: int = 0, *, output_tokens: int) -> Latency:
        """The seconds that one call takes, without any queue."""
        model = self.model(settings.model)
        luck = self._normal("latency", *_what_matters(settings), sample_id, repeat)
        factor = math.exp(model.latency_sigma * luck)
        total_s = factor * (model.first_token_s + output_tokens / model.tokens_per_s)
        return Latency(queue_s=0.0, total_s=total_s, first_token_s=factor * model.first_token_s)

    def _label(self, settings: Settings, sample_id: str, repeat: int) -> str:
        target = _known(self.targets, sample_id, "sample")
        if self.succeeds(settings, sample_id, repeat):
            return target
        others = [label for label in self.labels if label != target]
        return others[int(share(self.seed, "wrong", settings.model, sample_id) * len(others))]

    def _words(self, settings: Settings, sample_id: str) -> int:
        prompt = self.prompt(settings.prompt)
        span = prompt.max_words - prompt.min_words + 1
        return prompt.min_words + int(share(self.seed, "words", settings.prompt, sample_id) * span)

    def _lengths(self, settings: Settings) -> list[int]:
        """Tokens of complete answers, each as likely as the others."""
        prompt = self.prompt(settings.prompt)
        return [tokens_of_words(words + 1) for words in range(prompt.min_words, prompt.max_words + 1)]

    def _billed_lengths(self, settings: Settings) -> list[int]:
        limit, lengths = settings.max_output_tokens, self._lengths(settings)
        return lengths if limit is None else [min(tokens, limit) for tokens in lengths]

    def _filler(self) -> list[str]:
        labels = {label.casefold() for label in self.labels}
        return [word for word in FILLER.split() if word not in labels] or ["..."]

    def _normal(self, *parts: object) -> float:
        # Half a step of `share` keeps zero, whose quantile is infinite, out.
        return _NORMAL.inv_cdf(max(share(self.seed, *parts), 2.0**-53))


def candidates(space: Space, *, steps: int = 7) -> Iterator[Settings]:
    """Settings that cover a plan's space: all choices, and ranges in this many steps, ends included."""
    from harness.plan.parameters import with_values

    for model, prompt in itertools.product(space.models, space.prompts):
        start = replace(space.defaults[model], model=model, prompt=prompt)
        for drawn in _rows(space.dimensions[model], steps, {}):
            yield with_values(start, drawn)


def _rows(
    dimensions: Sequence[Dimension], steps: int, drawn: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Every combination of values; `None` for what is not there beside the others."""
    from harness.plan.plan import applies

    if not dimensions:
        yield drawn
        return
    first = dimensions[0]
    for value in _values(first, steps) if applies(first, drawn) else (None,):
        held = tuple(value) if isinstance(value, list) else value
        yield from _rows(dimensions[1:], steps, {**drawn, first.name: held})


def _values(dimension: Dimension, steps: int) -> Sequence[Any]:
    from harness.plan.plan import Choices

    if isinstance(dimension, Choices):
        return dimension.values
    low, high = dimension.low, dimension.high
    if dimension.log:
        values = [math.exp(v) for v in _spread(math.log(low), math.log(high), steps)]
    elif dimension.step is not None and dimension.distinct is not None:
        values = [low + n * dimension.step for n in range(dimension.distinct)]
    else:
        values = _spread(low, high, steps)
    return sorted({round(value) for value in values}) if dimension.integer else values


def _spread(low: float, high: float, steps: int) -> list[float]:
    return [low + (high - low) * step / (steps - 1) for step in range(steps)] if high > low else [low]


def _logistic(logits: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-700.0, min(700.0, logits))))


def _heat(settings: Settings) -> float:
    """How much chance there is in sampling: a smaller nucleus cools."""
    temperature = DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature
    return temperature * (1.0 if settings.top_p is None else settings.top_p)


def _strain(settings: Settings, best_temperature: float) -> float:
    """Logits that sampling settings cost: little near the best temperature, more and more beyond 0.7."""
    heat = _heat(settings)
    frequency = settings.frequency_penalty or 0.0
    presence = settings.presence_penalty or 0.0
    return (
        0.15 * (heat - best_temperature) ** 2
        + 1.6 * max(0.0, heat - SAFE_HEAT) ** 2
        # Negative penalties end in loops, which costs more than avoiding a needed word.
        + (0.25 if frequency > 0 else 0.6) * frequency**2
        + 0.1 * presence**2
    )


def _what_matters(settings: Settings) -> tuple[object, ...]:
    """What changes the words of an answer. Its limit is not among it: a longer one changes no word."""
    temperature = float(DEFAULT_TEMPERATURE if settings.temperature is None else settings.temperature)
    top_p = float(1.0 if settings.top_p is None else settings.top_p)
    return (
        settings.model,
        settings.prompt,
        *((temperature, top_p) if temperature * top_p > 0 else (0.0, 0.0)),
        float(settings.frequency_penalty or 0.0),
        float(settings.presence_penalty or 0.0),
    )


def _known(things: Mapping[str, _Thing], name: str, kind: str) -> _Thing:
    if name not in things:
        some = ", ".join(map(repr, itertools.islice(things, 5))) or "none"
        raise UsageError(f"{kind} {name!r} is not in this simulated world; it has {some}")
    return things[name]
