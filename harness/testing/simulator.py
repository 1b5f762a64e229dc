"""A provider whose truth is known: the in-process face of a world, with a bill and faults of its own.

In: calls. Out: replies as the world answers them, after as long as the world says, or scheduled faults.
It must not decide what is right (the world does), and it keeps its bill apart from the harness's, so
that the two can be compared.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeAlias

from harness.calls.faults import kind_of
from harness.calls.provider import ProviderFault
from harness.catalogue.models import Prices, price_usd
from harness.clock import Clock
from harness.errors import UsageError
from harness.fingerprint import fingerprint, share
from harness.records import Call, JsonValue, Latency, Reply, Settings
from harness.testing.embedding import EmbeddingModel
from harness.testing.tokens import count_call_tokens
from harness.testing.worlds import SimulatedModel, SimulatedPrompt, World

Faults: TypeAlias = "Callable[[Call, int], ProviderFault | None]"


class AnswersCalls(Protocol):
    """What a simulator needs of a world: a `World`, or one of continuous settings, `ParametricWorld`."""

    @property
    def models(self) -> Mapping[str, SimulatedModel]:
        """The models by full name."""
        ...

    def answer(self, settings: Settings, sample_id: str, repeat: int = 0, *, input_tokens: int = 0) -> Reply:
        """The answer to one call; raises UsageError for one that the world cannot answer."""
        ...

    def latency(self, settings: Settings, sample_id: str, repeat: int = 0, *, output_tokens: int) -> Latency:
        """The seconds that one call takes, without any queue."""
        ...


class Simulator:
    """Answers calls from a world. Same call, same answer: in any order, process and year.

    targets: the right label by sample id, for a `World`; `None`: those of the world. clock: slept on for as
    long as the world's latency says; `None`: every answer comes at once. faults: asked before each answer
    with the call and its attempt, counted from 1; returns the fault to raise, or `None`.
    """

    def __init__(
        self,
        world: AnswersCalls,
        targets: Mapping[str, str] | None = None,
        *,
        clock: Clock | None = None,
        faults: Faults | None = None,
    ) -> None:
        if targets is not None:
            assert isinstance(world, World), "other worlds know their targets"
            world = replace(world, targets=targets)
        self.world = world
        self.requests = 0
        self.requests_by_model: Counter[str] = Counter()
        self.bill_usd = 0.0
        self.in_flight = 0
        self.peak_in_flight = 0
        self.closed = 0
        self._clock = clock
        self._faults = faults
        self._attempts: Counter[str] = Counter()

    async def complete(self, call: Call) -> Reply:
        """One answer. Raises the scheduled ProviderFault, or one for a call that the world cannot answer."""
        self.requests += 1
        self.requests_by_model[call.settings.model] += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            return await self._serve(call)
        finally:
            self.in_flight -= 1

    async def close(self) -> None:
        """Count that it was closed. It goes on answering, so that one simulator can serve a resumed run."""
        self.closed += 1

    async def _serve(self, call: Call) -> Reply:
        fault = self._scheduled_fault(call)
        if fault is not None and not fault.billed:
            await self._wait(0.0)
            raise fault
        reply = self._answer(call)
        # Charged before the wait: a real provider bills the caller who hangs up, too.
        self.bill_usd += price_usd(reply.usage, self.world.models[call.settings.model].prices)
        latency = self._latency(call, reply)
        await self._wait(latency.total_s)
        if fault is not None:
            raise fault
        return reply if self._clock is None else replace(reply, first_token_s=latency.first_token_s)

    def _scheduled_fault(self, call: Call) -> ProviderFault | None:
        if self._faults is None:
            return None
        key = fingerprint(call)
        self._attempts[key] += 1
        return self._faults(call, self._attempts[key])

    def _answer(self, call: Call) -> Reply:
        settings = call.settings
        if settings.model not in self.world.models:
            raise ProviderFault("not_found", f"no model {settings.model!r} in the simulated world")
        refused = self.world.models[settings.model].refuses & settings.sent().keys()
        if refused:
            names = ", ".join(sorted(refused))
            raise ProviderFault("bad_request", f"{settings.model!r} does not take {names}")
        if call.texts:
            return self._embedded(call)
        if call.purpose != "answer":
            raise ProviderFault(
                "bad_request", f"the simulator answers samples; for {call.purpose!r} use ScriptedProvider"
            )
        try:
            return self.world.answer(
                settings, call.sample_id, call.repeat, input_tokens=count_call_tokens(call)
            )
        except UsageError as error:
            raise ProviderFault("bad_request", str(error)) from error

    def _embedded(self, call: Call) -> Reply:
        model = self.world.models[call.settings.model].embedding or EmbeddingModel()
        refusal = model.refusal(call.texts)
        if refusal is not None:
            raise ProviderFault(kind_of(refusal.status, refusal.message), refusal.message)
        asked = call.settings.extra.get("dimensions")
        return model.answer(call.texts, asked, served_by=call.settings.model_name)

    def _latency(self, call: Call, reply: Reply) -> Latency:
        output_tokens = reply.usage.output_tokens or 0
        return self.world.latency(call.settings, call.sample_id, call.repeat, output_tokens=output_tokens)

    async def _wait(self, seconds: float) -> None:
        # Without a clock a turn of the loop still passes, so that calls overlap as real ones do.
        await (asyncio.sleep(0) if self._clock is None else self._clock.sleep(seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedExperiment:
    """A whole experiment on a simulated provider: files on disk, a spec that names them, and the truth.

    spec: as read from YAML, for `harness.tune(spec, providers={"sim": experiment.simulator()})`.
    rows: as written to the data set, in order.
    """

    folder: Path
    spec: dict[str, JsonValue]
    rows: tuple[Mapping[str, JsonValue], ...]
    world: World

    def simulator(self, *, clock: Clock | None = None, faults: Faults | None = None) -> Simulator:
        """A fresh provider for this experiment, with an empty bill."""
        return Simulator(self.world, clock=clock, faults=faults)

    def best(self, *, steps: int = 13) -> Settings:
        """The best settings of the experiment's search space; temperature on a grid of this many steps."""
        return self.world.best(
            self.world.grid(
                temperature=[1.2 * step / (steps - 1) for step in range(steps)],
                frequency_penalty=[0.0, 0.5, 1.0],
                max_output_tokens=[16, 64, 256],
            )
        )


PRICES: Mapping[str, Prices] = {
    "small": Prices(input=0.1, output=0.4),
    "medium": Prices(input=0.4, output=1.6),
    "large": Prices(input=2.5, output=10.0),
}
"""Invented list prices in USD per million tokens: some 5 times apart, as those of real classes are."""


def simulated_world(
    targets: Mapping[str, str], *, labels: Sequence[str] = ("yes", "no"), seed: int = 0
) -> World:
    """Three models and two prompts that differ as real ones do, with several near-ties on top.

    At sane defaults they are right on some 69, 78 and 84 % of samples; the prompt "reasoned" helps
    the large ones by a few points and harms the small one, and writes 20 to 60 words first.
    """
    speeds = {"small": (0.2, 160.0), "medium": (0.4, 90.0), "large": (0.7, 55.0)}
    abilities = {"small": (1.3, 0.2, 1.3), "medium": (2.0, 0.3, 1.0), "large": (2.65, 0.4, 0.8)}
    models = {
        f"sim/{name}": SimulatedModel(
            ability=ability,
            prices=PRICES[name],
            best_temperature=best_temperature,
            heat_sensitivity=heat_sensitivity,
            first_token_s=speeds[name][0],
            tokens_per_s=speeds[name][1],
        )
        for name, (ability, best_temperature, heat_sensitivity) in abilities.items()
    }
    reasoned = {"sim/small": -0.35, "sim/large": 0.1}
    prompts = {
        "plain": SimulatedPrompt(),
        "reasoned": SimulatedPrompt(effect=0.2, by_model=reasoned, min_words=20, max_words=60),
    }
    return World(models=models, prompts=prompts, labels=tuple(labels), targets=targets, seed=seed)


def simulated_experiment(
    folder: Path,
    *,
    n_samples: int = 200,
    labels: Sequence[str] = ("yes", "no"),
    seed: int = 0,
    **sections: JsonValue,
) -> SimulatedExperiment:
    """Write data set and prompts of a simulated experiment into a folder, and give its spec and truth.

    sections: parts of the spec to replace, as in `budget={"usd": 1.0}`; a mapping is merged into the
    section one level deep, `None` removes a section.
    """
    rows = _rows(n_samples, labels, seed)
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "samples.jsonl").write_text(lines, encoding="utf-8")
    for name, ask in (("plain", "Answer with one word."), ("reasoned", "Think first, then answer.")):
        text = f"{ask} The labels are: {', '.join(labels)}.\n\n{{{{ text }}}}\n"
        (folder / f"{name}.jinja").write_text(text, encoding="utf-8")
    targets = {str(row["id"]): str(row["target"]) for row in rows}
    world = simulated_world(targets, labels=labels, seed=seed)
    spec = with_sections(_spec(folder, labels, seed), sections)
    return SimulatedExperiment(folder=folder, spec=spec, rows=tuple(rows), world=world)


def _rows(n_samples: int, labels: Sequence[str], seed: int) -> list[dict[str, JsonValue]]:
    width = len(str(n_samples))
    rows: list[dict[str, JsonValue]] = []
    for number in range(1, n_samples + 1):
        sample_id = f"s{number:0{width}d}"
        words = 8 + int(share(seed, "text", sample_id) * 25)
        text = f"Text {number}: " + " ".join(["lorem"] * words)
        target = labels[int(share(seed, "target", sample_id) * len(labels))]
        rows.append({"id": sample_id, "text": text, "target": target})
    return rows


def _spec(folder: Path, labels: Sequence[str], seed: int) -> dict[str, JsonValue]:
    return {
        "experiment": "simulated",
        "description": "Which settings label simulated texts best?",
        "task": {
            "dataset": str(folder / "samples.jsonl"),
            "prompt": {name: str(folder / f"{name}.jinja") for name in ("plain", "reasoned")},
            "scorers": [{"choice": {"labels": list(labels)}}],
            "metric": "accuracy",
        },
        "search": {
            "models": ["sim/small", "sim/medium", "sim/large"],
            "temperature": {"low": 0.0, "high": 1.2},
            "frequency_penalty": {"low": 0.0, "high": 1.0},
            "max_output_tokens": {"choices": [16, 64, 256]},
            "n_trials": 20,
        },
        "providers": {"sim": {"api_base": "http://127.0.0.1:9/v1", "models": _stated_models()}},
        "aim": {"maximize": "quality", "policy": "best", "confirm": 0.3},
        "budget": {"usd": 5.0},
        "failures": "count_as_wrong",
        "seed": seed,
    }


def _stated_models() -> dict[str, JsonValue]:
    settings: dict[str, JsonValue] = {
        "temperature": {"low": 0.0, "high": 2.0, "default": 0.3},
        "top_p": {"low": 0.0, "high": 1.0, "default": 1.0},
        "frequency_penalty": {"low": -2.0, "high": 2.0, "default": 0.0},
        "presence_penalty": {"low": -2.0, "high": 2.0, "default": 0.0},
        "max_output_tokens": {"low": 1, "high": 4096, "default": 256},
    }
    return {
        name: {
            "class": name.upper(),
            "prices": {"input": prices.input, "output": prices.output},
            "context_tokens": 128_000,
            "max_output_tokens": 4096,
            "settings": dict(settings),
        }
        for name, prices in PRICES.items()
    }


def with_sections(spec: Mapping[str, JsonValue], sections: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The spec with parts replaced: a mapping is merged into its section, one level deep; `None` removes."""
    changed = dict(spec)
    for name, section in sections.items():
        known = changed.get(name)
        if section is None:
            changed.pop(name, None)
        elif isinstance(known, dict) and isinstance(section, dict):
            changed[name] = known | section
        else:
            changed[name] = section
    return changed
