"""A world of continuous settings whose true quality is known exactly, and which answers fast.

In: settings. Out: the chance that each sample is answered rightly, answers drawn from it, prices, and the
best settings there are. It must not know who searches; `Simulator` serves it as a provider.

Three providers with three classes each, four prompts, temperature, top_p, two penalties and a limit of
tokens; 200 samples of different difficulty and sharpness, the same for all settings, so that luck is shared.
An answer is right with probability logistic(sharpness x (ability - difficulty)), and wrong when its limit
cuts it off. Source: the two-parameter logistic model (Birnbaum 1968). All numbers are ours, chosen so that
models differ by tens of points, sane settings of one model by a few, and wild ones ruin it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from harness.catalogue.models import Prices
from harness.errors import UsageError
from harness.fingerprint import fingerprint, share
from harness.records import Latency, Reply, Settings, Usage
from harness.testing.matrices import Floats
from harness.testing.worlds import FILLER, SimulatedModel

SAMPLES = 200
CLASSES: Mapping[str, tuple[float, Prices]] = {
    "small": (1.2, Prices(input=0.15, output=0.6)),
    "medium": (2.0, Prices(input=0.8, output=4.0)),
    "large": (2.4, Prices(input=3.0, output=15.0)),
}
"""Mean ability in logits and list prices of each class."""
PROVIDERS = ("alpha", "beta", "gamma")
PROMPT_WORDS: Mapping[str, int] = {"plain": 40, "formal": 60, "steps": 160, "long-steps": 300}
"""Median tokens of an answer by prompt: two that answer at once, and two that reason first."""
INPUT_TOKENS = 150  # of a prompt, the same for all
TEMPERATURE, TOP_P, PENALTY, LIMIT = (0.0, 2.0), (0.0, 1.0), (-2.0, 2.0), (64, 2048)
"""Ranges of the settings, ends included; the limit of tokens is searched on a logarithmic scale."""
DEFAULT_TEMPERATURE, DEFAULT_LIMIT = 0.3, 1024
GRID_TEMPERATURES = (0.0, 0.7, 1.4)
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taste:
    """How one model takes sampling settings; the rest of `ability` is lost with the square of the distance.

    flat_until: temperature up to which nothing is lost. heat: logits lost per squared temperature beyond.
    top_p, frequency, presence: where each is best. top_p_loss, penalty_loss: logits per squared distance.
    """

    flat_until: float
    heat: float
    top_p: float
    top_p_loss: float
    frequency: float
    presence: float
    penalty_loss: float

    def loss(self, settings: Settings) -> float:
        """Logits that these settings cost; what is not sent counts as the providers' own default."""
        temperature = 1.0 if settings.temperature is None else settings.temperature
        top_p = 1.0 if settings.top_p is None else settings.top_p
        return (
            self.heat * max(0.0, temperature - self.flat_until) ** 2
            + self.top_p_loss * (top_p - self.top_p) ** 2
            + self.penalty_loss * ((settings.frequency_penalty or 0.0) - self.frequency) ** 2
            + self.penalty_loss * ((settings.presence_penalty or 0.0) - self.presence) ** 2
        )


@dataclass(frozen=True, kw_only=True)
class ParametricWorld:
    """One such world. Made by `parametric_world`; `luck` draws other answers of the same world.

    abilities: logits by model and prompt. difficulty, sharpness: (N,). lengths: tokens of complete answers,
    (N,), by prompt.
    """

    seed: int
    abilities: Mapping[tuple[str, str], float]
    tastes: Mapping[str, Taste]
    difficulty: Floats
    sharpness: Floats
    lengths: Mapping[str, NDArray[np.int64]]
    luck: int = 0

    @cached_property
    def models(self) -> Mapping[str, SimulatedModel]:
        """The models by full name, for the provider that serves this world."""
        return {
            f"{provider}/{name}": SimulatedModel(ability=ability, prices=prices)
            for provider in PROVIDERS
            for name, (ability, prices) in CLASSES.items()
        }

    @cached_property
    def sample_ids(self) -> tuple[str, ...]:
        """Ids of the samples, in the order of all arrays."""
        return tuple(f"s{number:04d}" for number in range(len(self.difficulty)))

    def chances(self, settings: Settings) -> Floats:
        """The chance of a right and complete answer to each sample, (N,)."""
        key = (settings.model, settings.prompt)
        if key not in self.abilities:
            raise UsageError(f"no model and prompt {key!r} in this world")
        ability = self.abilities[key] - self.tastes[settings.model].loss(settings)
        right: Floats = 1.0 / (1.0 + np.exp(-self.sharpness * (ability - self.difficulty)))
        right[self._cut(settings)] = 0.0
        return right

    def true_quality(self, settings: Settings) -> float:
        """The expected share of right answers over the samples of this world; exact."""
        return float(self.chances(settings).mean())

    def answers(self, settings: Settings, repeat: int = 0) -> Floats:
        """Whether each sample is answered rightly, (N,) of 0 and 1: the same for the same call and luck.

        At temperature 0 every repeat is the first one.
        """
        return (self._noise(settings, repeat) < self.chances(settings)).astype(np.float64)

    def prices(self, settings: Settings) -> Floats:
        """List price of one call by sample, USD, (N,)."""
        prices = self.models[settings.model].prices
        output = self._billed(settings).astype(np.float64) * prices.output
        return (INPUT_TOKENS * prices.input + output) / 1e6

    @cached_property
    def optimum(self) -> Settings:
        """The best settings of the whole space.

        Losses are separate squares, and a longer limit never harms: each model is best at its own taste,
        which leaves 36 combinations of model and prompt to compare.
        """
        tastes = self.tastes
        return max(
            (
                replace(
                    settings,
                    temperature=0.0,
                    top_p=tastes[settings.model].top_p,
                    frequency_penalty=tastes[settings.model].frequency,
                    presence_penalty=tastes[settings.model].presence,
                    max_output_tokens=LIMIT[1],
                )
                for settings in self.defaults()
            ),
            key=self.true_quality,
        )

    @cached_property
    def best(self) -> float:
        """True quality of the optimum."""
        return self.true_quality(self.optimum)

    def defaults(self) -> list[Settings]:
        """Every model with every prompt at settings that nobody would call wild, 36 of them."""
        return [
            Settings(
                model=model,
                prompt=prompt,
                temperature=DEFAULT_TEMPERATURE,
                top_p=1.0,
                max_output_tokens=DEFAULT_LIMIT,
                frequency_penalty=0.0,
                presence_penalty=0.0,
            )
            for model, prompt in self.abilities
        ]

    def users_grid(self) -> list[Settings]:
        """What many would try: three temperatures of each, the rest at defaults, 108 in all."""
        return [replace(one, temperature=t) for one in self.defaults() for t in GRID_TEMPERATURES]

    def answer(self, settings: Settings, sample_id: str, repeat: int = 0, *, input_tokens: int = 0) -> Reply:
        """The answer to one call, as `answers` has it: "right" or "wrong" last, or cut off by the limit.

        input_tokens: of the prompt, counted by the caller; the fast prices count 150 instead.
        """
        place = self._place(sample_id)
        billed, cut = int(self._billed(settings)[place]), bool(self._cut(settings)[place])
        right = self.answers(settings, repeat)[place] == 1
        text = "" if cut else f"\n{'right' if right else 'wrong'}"
        usage = Usage(
            input_tokens=input_tokens,
            cached_input_tokens=0,
            cache_write_tokens=0,
            output_tokens=billed,
            reasoning_tokens=0,
        )
        return Reply(
            text=FILLER + text,
            finish_reason="length" if cut else "stop",
            usage=usage,
            served_by=settings.model_name,
        )

    def latency(self, settings: Settings, sample_id: str, repeat: int = 0, *, output_tokens: int) -> Latency:
        """The seconds that one call takes, without any queue: log-normal around the model's own speed."""
        model = self.models[settings.model]
        even = share(self.seed, self.luck, "latency", _words_of(settings), sample_id, repeat)
        factor = math.exp(model.latency_sigma * _NORMAL.inv_cdf(max(even, 2.0**-53)))
        total_s = factor * (model.first_token_s + output_tokens / model.tokens_per_s)
        return Latency(queue_s=0.0, total_s=total_s, first_token_s=factor * model.first_token_s)

    def _noise(self, settings: Settings, repeat: int) -> Floats:
        words = _words_of(settings)
        moment = repeat if settings.temperature != 0 else 0
        key = int(fingerprint([self.seed, self.luck, words, moment])[:16], 16)
        return np.random.default_rng(key).random(len(self.difficulty))

    def _cut(self, settings: Settings) -> NDArray[np.bool_]:
        limit = settings.max_output_tokens
        lengths = self.lengths[settings.prompt]
        return lengths > (np.iinfo(np.int64).max if limit is None else limit)

    def _billed(self, settings: Settings) -> NDArray[np.int64]:
        lengths, limit = self.lengths[settings.prompt], settings.max_output_tokens
        return lengths if limit is None else np.minimum(lengths, limit)

    def _place(self, sample_id: str) -> int:
        try:
            return self.sample_ids.index(sample_id)
        except ValueError:
            raise UsageError(f"sample {sample_id!r} is not in this world of {SAMPLES}") from None


def parametric_world(seed: int, *, samples: int = SAMPLES) -> ParametricWorld:
    """The world of this seed; its samples are those of nobody's data."""
    rng = np.random.default_rng([seed, samples])
    models = [(provider, name) for provider in PROVIDERS for name in CLASSES]
    prompts = {prompt: float(rng.normal(0.0, 0.15)) for prompt in PROMPT_WORDS}
    abilities: dict[tuple[str, str], float] = {}
    tastes: dict[str, Taste] = {}
    for provider, name in models:
        full = f"{provider}/{name}"
        own = CLASSES[name][0] + float(rng.normal(0.0, 0.2))
        for prompt, effect in prompts.items():
            abilities[full, prompt] = own + effect + float(rng.normal(0.0, 0.1))
        tastes[full] = Taste(
            flat_until=float(rng.uniform(0.6, 1.1)),
            heat=float(rng.uniform(1.5, 4.0)),
            top_p=float(rng.uniform(0.7, 1.0)),
            top_p_loss=float(rng.uniform(0.4, 1.2)),
            frequency=float(rng.uniform(-0.4, 0.8)),
            presence=float(rng.uniform(-0.4, 0.8)),
            penalty_loss=float(rng.uniform(0.25, 0.6)),
        )
    spread = rng.lognormal(0.0, 0.35, samples)
    return ParametricWorld(
        seed=seed,
        abilities=abilities,
        tastes=tastes,
        difficulty=rng.normal(0.0, 2.2, samples),
        sharpness=rng.lognormal(0.3, 0.3, samples),
        lengths={
            prompt: np.maximum(1, np.round(median * spread)).astype(np.int64)
            for prompt, median in PROMPT_WORDS.items()
        },
    )


def _words_of(settings: Settings) -> list[object]:
    """What changes the words of an answer; its limit is not among it: a longer one changes no word."""
    return [
        settings.model,
        settings.prompt,
        float(1.0 if settings.temperature is None else settings.temperature),
        float(1.0 if settings.top_p is None else settings.top_p),
        float(settings.frequency_penalty or 0.0),
        float(settings.presence_penalty or 0.0),
    ]
