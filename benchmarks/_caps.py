"""Random runs against a cap: what each asks for, who answers and keeps the bill, and whether the cap held.

In: a seed. Out: runs, carried out by processes that share a store, and a verdict on each. The truth is the
bill of the simulated provider, which knows nothing of caps.
"""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Self

from harness.calls.budget import Caps, worst_case
from harness.catalogue.models import Model, Prices, price_usd
from harness.fingerprint import share
from harness.records import Call, Message, Reply, Settings, Usage
from harness.store.leases import Amount
from harness.store.schema import tables
from harness.store.store import open_store
from harness.testing.delays import uniform
from harness.testing.faults import parse_faults
from harness.testing.http_server import SimulatorServer
from harness.testing.sources import Answered
from harness.testing.tokens import TOOLS_PROMPT, count_beside_tokens, count_tokens
from harness.testing.wire import Question

HERE = Path(__file__).resolve().parent
FAULTS = "429:0.05,500:0.05,reset:0.04,half:0.04,badjson:0.04,hang:0.02,retry-after-s:0.1"
PROCESSES = 4
UNSPENT = 0.05  # of a cap, that may be left beside one call's worst case when work remained
ROUNDING = 1e-9  # relative: sums of dollars in another order differ by so little
FIGURES = ("usd", "calls", "tokens")


def _schema(fields: int) -> dict[str, Any]:
    """A schema of so many fields, as data are asked for."""
    one = {"type": "string", "description": "What the customer says of this part of the order."}
    return {"type": "object", "properties": {f"part_{n}": one for n in range(fields)}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One call in numbers. number: which question; the same number is the same call in every process.

    words: of its prompt. fields: of the schema that its answer is to keep; 0: none is sent. tools: sent along.
    """

    number: int
    model: str
    purpose: str
    words: int
    max_output_tokens: int
    fields: int = 0
    tools: int = 0

    def sent(self) -> dict[str, Any]:
        """The custom parameters of the call: a schema of so many fields, and so many tools."""
        sent: dict[str, Any] = {}
        if self.fields:
            form = {"name": "answer", "schema": _schema(self.fields), "strict": True}
            sent["response_format"] = {"type": "json_schema", "json_schema": form}
        if self.tools:
            functions = [{"name": f"tool_{n}", "parameters": _schema(1 + n)} for n in range(self.tools)]
            sent["tools"] = [{"type": "function", "function": one} for one in functions]
        return sent


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomRun:
    """One run. prices: by model, in and out, USD per million tokens. calls: one list for each process.

    faulty: whether the provider also fails, and charges for some of the answers that never came.
    """

    name: str
    faulty: bool
    prices: dict[str, tuple[float, float]]
    caps: dict[str, float]
    concurrency: int
    max_retries: int
    calls: tuple[tuple[Asked, ...], ...]

    def models(self) -> dict[str, Model]:
        """The models by full name."""
        return {
            f"sim/{name}": Model(
                provider="sim", name=name, model_class="SMALL", prices=Prices(input=low, output=high)
            )
            for name, (low, high) in self.prices.items()
        }

    def questions(self, process: int) -> Iterator[Call]:
        """What a process asks."""
        for asked in self.calls[process]:
            text = f"Question {asked.number} of {self.name}:" + " lorem" * asked.words
            settings = Settings(
                model=f"sim/{asked.model}",
                prompt="plain",
                max_output_tokens=asked.max_output_tokens,
                extra=asked.sent(),
            )
            yield Call(
                settings=settings,
                sample_id=f"s{asked.number}",
                messages=(Message("user", text),),
                purpose="judge" if asked.purpose == "judge" else "answer",
            )

    def worst(self) -> Amount:
        """The worst case of one call, in each respect."""
        models = self.models()
        each = [
            worst_case(call, models[call.settings.model]).amount
            for process in range(len(self.calls))
            for call in self.questions(process)
        ]
        return Amount(*(max(getattr(amount, name) for amount in each) for name in FIGURES))


def random_run(name: str, seed: int, *, processes: int | None = None) -> RandomRun:
    """A run drawn from this seed; about three in four have less money than work."""
    draw = random.Random(f"{seed}:{name}")
    processes = processes or draw.choice((1, 2, PROCESSES, PROCESSES, PROCESSES))
    prices = {}
    for kind in ("small", "large", "judge"):
        price = 10 ** draw.uniform(-2, 2)
        prices[f"{name}-{kind}"] = (price, price * draw.uniform(1, 8))
    shared = draw.randrange(0, 30)
    each = draw.randrange(5, 80)
    asked = [
        Asked(
            number=number,
            model=draw.choices(tuple(prices), (5, 3, 2))[0],
            purpose="answer",
            words=draw.randrange(1, 120),
            max_output_tokens=draw.choice((1, 8, 64, 256)),
            fields=draw.choice((0, 0, 0, 1, 5, 40)),
            tools=draw.choice((0, 0, 0, 0, 1, 6)),
        )
        for number in range(shared + processes * each)
    ]
    asked = [
        Asked(**{**asdict(one), "purpose": "judge" if one.model.endswith("judge") else "answer"})
        for one in asked
    ]
    lists = []
    for process in range(processes):
        own = asked[:shared] + asked[shared + process * each : shared + (process + 1) * each]
        draw.shuffle(own)
        lists.append(tuple(own))
    run = RandomRun(
        name=name,
        faulty=draw.random() < 0.6,
        prices=prices,
        caps={},
        concurrency=draw.choice((1, 2, 4, 8, 16, 32, 64)),
        max_retries=draw.choice((0, 1, 2, 4)),
        calls=tuple(lists),
    )
    run.caps.update(_random_caps(run, draw))
    return run


def _random_caps(run: RandomRun, draw: random.Random) -> dict[str, float]:
    """A cap in dollars, sometimes others too, from far too little to more than enough."""
    due = dict.fromkeys(FIGURES, 0.0)
    for call in {call.sample_id: call for p in range(len(run.calls)) for call in run.questions(p)}.values():
        usage, price = _bill(run.prices, call.settings.model_name, call.messages, call.settings.sent())
        due["usd"] += price
        due["calls"] += 1
        due["tokens"] += (usage.input_tokens or 0) + (usage.output_tokens or 0)
    caps = {"usd": due["usd"] * draw.uniform(0.05, 1.3)}
    if draw.random() < 0.2:
        caps["calls"] = math.ceil(due["calls"] * draw.uniform(0.1, 1.3))
    if draw.random() < 0.2:
        caps["tokens"] = math.ceil(due["tokens"] * draw.uniform(0.1, 1.3))
    return caps


def _bill(
    prices: dict[str, tuple[float, float]], model: str, messages: Sequence[Message], sent: Any
) -> tuple[Usage, float]:
    """What an answer takes: some share of the output that was allowed for."""
    limit = int(sent["max_output_tokens"])
    told = "".join(message.content for message in messages)
    usage = Usage(
        # What arrives in the body, tools explained as Anthropic does it.
        input_tokens=count_tokens(told) + count_beside_tokens(sent) + TOOLS_PROMPT * ("tools" in sent),
        cached_input_tokens=0,
        output_tokens=max(1, math.ceil(limit * share("output", told))),
        reasoning_tokens=0,
    )
    low, high = prices[model]
    return usage, price_usd(usage, Prices(input=low, output=high))


@dataclass(slots=True)
class BilledAnswers:
    """The provider: it charges every answer that it makes, whether it arrives or not, by model."""

    prices: dict[str, tuple[float, float]] = field(default_factory=dict)
    bills: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def models(self) -> Sequence[str]:
        """All that were asked for so far."""
        return tuple(self.prices)

    def answer(self, question: Question) -> Answered:
        """An answer, and a line on the bill."""
        usage, price = _bill(self.prices, question.model, question.messages, question.settings)
        tokens = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.bills.setdefault(question.model, []).append((price, tokens))
        reply = Reply(text="ok", finish_reason="stop", usage=usage, served_by=question.model)
        return Answered(reply, price)

    def bill(self, models: Iterable[str]) -> Amount:
        """What these models were charged for."""
        lines = [line for model in models for line in self.bills.get(model, ())]
        return Amount(math.fsum(price for price, _ in lines), len(lines), sum(tokens for _, tokens in lines))


class Crew:
    """Processes that carry out runs, several at a time; use it in a `with` block."""

    def __init__(self, size: int = PROCESSES) -> None:
        self._size = size
        self._answers: dict[tuple[str, int], SimpleQueue[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        argv = [sys.executable, str(HERE / "_cap_worker.py")]
        self._workers = [
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(self._size)
        ]
        self._readers = [threading.Thread(target=self._read, args=(worker,)) for worker in self._workers]
        for reader in self._readers:
            reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for reader in self._readers:
            reader.join()
        for worker in self._workers:
            worker.wait()
            assert worker.stdout is not None
            worker.stdout.close()

    def carry_out(self, run: RandomRun, api_base: str, store_url: str) -> list[dict[str, Any]]:
        """What each process of the run says when it has ended."""
        waiting = []
        for process in range(len(run.calls)):
            answer: SimpleQueue[dict[str, Any]] = SimpleQueue()
            self._answers[run.name, process] = answer
            waiting.append(answer)
            task = {"run": asdict(run), "process": process, "api_base": api_base, "store": store_url}
            # A run of few processes is not always the same worker's.
            worker = self._workers[(process + hash_of(run.name)) % self._size]
            assert worker.stdin is not None
            with self._lock:
                worker.stdin.write(json.dumps(task) + "\n")
                worker.stdin.flush()
        return [answer.get() for answer in waiting]

    def _read(self, worker: subprocess.Popen[str]) -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            told = json.loads(line)
            self._answers.pop((told["run"], told["process"])).put(told)


def hash_of(name: str) -> int:
    """A number that depends on the name alone."""
    return int(share("worker", name) * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one run. bill: the provider's; booked: ours. wrong: what should not have been.

    remained: calls that were not sent because of the cap. unspent: the smallest share of a cap that was
    left when work remained, `None` when nothing remained. left: the same with one call's worst case taken
    off. Both by the provider's bill where it is known to be ours, else by what we booked.
    """

    run: RandomRun
    bill: Amount
    booked: Amount
    answered: int
    remained: int
    unspent: float | None
    left: float | None
    wrong: tuple[str, ...]


def judge(run: RandomRun, told: Sequence[dict[str, Any]], bill: Amount, store_url: str) -> Verdict:
    """Whether the cap held, and whether it was used up when work remained."""
    store = open_store(store_url, {})
    try:
        spend = store.spent(run.name)
        with store.database.connect() as connection:
            held = sum(len(connection.execute(t.select()).all()) for t in (tables().leases, tables().claims))
    finally:
        store.close()
    booked = Amount(spend.usd, spend.calls, spend.input_tokens + spend.output_tokens)
    wrong = [one["error"] for one in told if one["error"]] + _overspent(run, bill, booked)
    if held:
        wrong.append(f"{held} leases and claims are left in the store")
    asked, outcomes = sum(map(len, run.calls)), sum(sum(one["kinds"].values()) for one in told)
    if asked != outcomes:
        wrong.append(f"asked {asked} calls and got {outcomes} outcomes")
    remained = sum(one["kinds"].get("budget", 0) for one in told)
    unspent = left = None
    if remained:
        # Where a call timed out on a busy machine, nobody on our side can know what was charged for it.
        used = bill if booked.calls == bill.calls and not run.faulty else booked
        unspent, left = _left(run, used, Amount()), _left(run, used, run.worst())
        if left >= UNSPENT:
            wrong.append(f"{remained} calls remained, and {left:.1%} of the cap was left beyond one call")
    return Verdict(
        run=run,
        bill=bill,
        booked=booked,
        answered=sum(one["kinds"].get("answered", 0) for one in told),
        remained=remained,
        unspent=unspent,
        left=left,
        wrong=tuple(wrong),
    )


def _overspent(run: RandomRun, bill: Amount, booked: Amount) -> list[str]:
    """Where a cap was passed, by whichever count, and where more was billed than we know of."""
    wrong = []
    for name in FIGURES:
        billed, ours, cap = getattr(bill, name), getattr(booked, name), run.caps.get(name, math.inf)
        if billed > cap * (1 + ROUNDING):
            wrong.append(f"billed {billed!r} {name} above the cap of {cap!r}")
        if ours > cap * (1 + ROUNDING):
            wrong.append(f"booked {ours!r} {name} above the cap of {cap!r}")
        if billed > ours * (1 + ROUNDING):
            wrong.append(f"billed {billed!r} {name}, booked {ours!r} only")
    return wrong


def _left(run: RandomRun, used: Amount, spared: Amount) -> float:
    """The share that is left, but for what is spared, of the cap that stopped the run."""
    return min((cap - getattr(used, name) - getattr(spared, name)) / cap for name, cap in run.caps.items())


def carry_out(runs: Iterable[RandomRun], *, at_once: int = 8) -> Iterator[Verdict]:
    """Carry out runs by processes that share one store a run; gives verdicts in the order of the runs."""
    source = BilledAnswers()
    timing = uniform(0.0, 0.01)
    with ExitStack() as stack:
        calm = stack.enter_context(SimulatorServer(source, delay=timing))
        rough = stack.enter_context(SimulatorServer(source, delay=timing, faults=parse_faults(FAULTS)))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="harness-cap-")))
        crew = stack.enter_context(Crew())
        pool = stack.enter_context(ThreadPoolExecutor(at_once))

        def one(run: RandomRun) -> Verdict:
            url = f"sqlite:///{folder / run.name}.db"
            source.prices.update(run.prices)
            open_store(url, {}).close()
            told = crew.carry_out(run, (rough if run.faulty else calm).api_base, url)
            verdict = judge(run, told, source.bill(run.prices), url)
            for file in folder.glob(f"{run.name}.db*"):
                file.unlink()
            return verdict

        yield from pool.map(one, runs)


def read_run(found: dict[str, Any]) -> RandomRun:
    """The run that a worker was given as JSON."""
    calls = tuple(tuple(Asked(**one) for one in each) for each in found["calls"])
    prices = {name: (low, high) for name, (low, high) in found["prices"].items()}
    return RandomRun(**{**found, "calls": calls, "prices": prices})


def caps_of(run: RandomRun) -> Caps:
    """The caps of a run as the engine takes them."""
    return Caps(**run.caps)  # pyright: ignore[reportArgumentType] - calls and tokens are whole numbers
