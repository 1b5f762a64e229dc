"""One client a process: ask a server N distinct short prompts, C at a time, and score the answers.

`python benchmarks/_clients.py NAME URL N C FOLDER` where NAME is a key of CLIENTS; `count:NAME` counts its
function calls, and `mark:NAME` prints a line every 10,000 answers. FOLDER is the client's to write in. The
last line printed is JSON: `right` answers, and what else it found. Nothing heavy is imported before its
client runs: the peers have environments of their own.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

# A model that litellm has in its price map: for unknown ones it works a tenth longer.
MODEL = "gpt-4o-mini"
KEY = "bench"
OUTPUT_TOKENS = 16
WARM_UP = 20  # calls before function calls are counted, so that imports are not


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a client is asked to do. url: of the API, with its version. mark_every: answers between marks."""

    url: str
    n: int
    concurrency: int
    folder: Path
    mark_every: int | None = None


def prompts(n: int) -> Iterator[str]:
    """N distinct short prompts."""
    return (f"Question {number}: is {number} an even number? Answer ok." for number in range(n))


def aiohttp_loop(
    work: Work, new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
) -> dict[str, object]:
    """The floor: workers over one aiohttp session, answers parsed and compared, nothing kept."""
    import aiohttp

    todo = prompts(work.n)
    right = 0

    async def ask(session: aiohttp.ClientSession) -> None:
        nonlocal right
        for text in todo:
            body = {
                "model": MODEL,
                "messages": [{"role": "user", "content": text}],
                "temperature": 0.0,
                "max_tokens": OUTPUT_TOKENS,
            }
            async with session.post(work.url + "/chat/completions", json=body) as response:
                answer = await response.json()
            right += answer["choices"][0]["message"]["content"] == "ok"

    async def main() -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as session:
            await asyncio.gather(*(ask(session) for _ in range(work.concurrency)))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
    return {"right": right}


def aiohttp_uvloop(work: Work) -> dict[str, object]:
    """The same on the event loop that ours runs on."""
    from uvloop import new_event_loop

    return aiohttp_loop(work, new_event_loop)


def litellm_bare(work: Work) -> dict[str, object]:
    """`litellm.acompletion` as its documentation shows it, workers around it, nothing kept."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    todo = prompts(work.n)
    right = 0

    async def ask() -> None:
        nonlocal right
        for text in todo:
            answer = await litellm.acompletion(
                model=f"openai/{MODEL}",
                messages=[{"role": "user", "content": text}],
                temperature=0.0,
                max_tokens=OUTPUT_TOKENS,
                api_base=work.url,
                api_key=KEY,
                max_retries=0,
            )
            right += answer.choices[0].message.content == "ok"

    async def main() -> None:
        await asyncio.gather(*(ask() for _ in range(work.concurrency)))

    asyncio.run(main())
    return {"right": right}


def ours_direct(work: Work) -> dict[str, object]:
    """What a run does with a call: key, look-up, ledger, limits, durable answer, score. Direct lane.

    Over a folder that was filled before, nothing is asked: the replay of stored answers.
    """
    from harness.calls.direct_lane import DirectProvider

    return _ours(DirectProvider(work.url, KEY), work)


def ours_litellm(work: Work) -> dict[str, object]:
    """The same through the litellm lane."""
    from harness.calls.litellm_lane import LitellmProvider

    return _ours(LitellmProvider("openai", work.url, KEY), work)


def _ours(provider: object, work: Work) -> dict[str, object]:
    from harness.calls.budget import Caps
    from harness.calls.engine import Engine
    from harness.catalogue.models import Accepts, Model, Prices
    from harness.loading import run_alone
    from harness.records import Call, Endpoint, Message, Sample, Settings
    from harness.scores.answer import Answer
    from harness.scores.text import Exact
    from harness.store.store import open_store

    began, began_cpu = time.perf_counter(), time.process_time()
    run_alone()  # as the command line does
    settings = Settings(
        model=f"bench/{MODEL}", prompt="plain", temperature=0.0, max_output_tokens=OUTPUT_TOKENS
    )
    calls = (
        Call(settings=settings, sample_id=str(number), messages=(Message("user", text),))
        for number, text in enumerate(prompts(work.n))
    )
    model = Model(
        provider="bench",
        name=MODEL,
        model_class="SMALL",
        prices=Prices(input=0.15, output=0.6),
        settings={"temperature": Accepts()},
    )
    endpoint = Endpoint(
        provider="bench",
        wire="openai",
        litellm_prefix="openai",
        api_base=work.url,
        api_key_env=None,
        concurrency=work.concurrency,
    )
    scorer = Exact()
    store = open_store(f"sqlite:///{work.folder}/harness.db")
    engine = Engine(
        run="bench",
        providers={"bench": provider},
        endpoints={"bench": endpoint},
        models={model.full_name: model},
        store=store,
        caps=Caps(usd=100.0),
    )
    right = 0
    with engine:
        for place, outcome in enumerate(engine.run(calls)):
            if work.mark_every and place % work.mark_every == 0:
                _mark(place)
            sample = Sample(id=outcome.call.sample_id, inputs={}, target="ok", split="search")
            right += scorer.score(Answer(sample=sample, text=outcome.reply.text)).value == 1.0
    store.close()
    if work.mark_every:
        _mark(work.n)
    return {
        "right": right,
        "loop_s": time.perf_counter() - began,
        "loop_cpu_s": time.process_time() - began_cpu,
        "litellm_imported": "litellm" in sys.modules,
    }


def _mark(answered: int) -> None:
    mark = {"answered": answered, "wall_s": time.perf_counter(), "cpu_s": time.process_time()}
    print(json.dumps(mark), flush=True)


def inspect_ai(work: Work) -> dict[str, object]:
    """Inspect AI (in an environment of its own) with its display off and its log written once, at the end."""
    os.environ |= {"OPENAI_BASE_URL": work.url, "OPENAI_API_KEY": KEY, "INSPECT_DISPLAY": "none"}
    from inspect_ai import Task
    from inspect_ai import eval as inspect_eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.scorer import exact
    from inspect_ai.solver import generate

    samples = [Sample(input=text, target="ok") for text in prompts(work.n)]
    task = Task(dataset=MemoryDataset(samples), solver=generate(), scorer=exact())
    (log,) = inspect_eval(
        task,
        model=f"openai/{MODEL}",
        model_args={"responses_api": False},
        max_connections=work.concurrency,
        max_samples=work.concurrency,
        temperature=0.0,
        max_tokens=OUTPUT_TOKENS,
        log_dir=str(work.folder),
        log_realtime=False,
    )
    # Not from the samples: reading them back in is no part of the work.
    assert log.results is not None, log.error
    mean = log.results.scores[0].metrics["mean"].value
    return {"right": round(mean * log.results.completed_samples)}


def promptfoo_file(work: Work) -> Path:
    """The same work as a promptfoo configuration file, written into the folder."""
    provider = {
        "id": f"openai:chat:{MODEL}",
        "config": {"apiBaseUrl": work.url, "apiKey": KEY, "temperature": 0, "max_tokens": OUTPUT_TOKENS},
    }
    tests = [
        {"vars": {"text": text}, "assert": [{"type": "equals", "value": "ok"}]} for text in prompts(work.n)
    ]
    config = {
        "prompts": ["{{text}}"],
        "providers": [provider],
        "tests": tests,
        "evaluateOptions": {"maxConcurrency": work.concurrency, "showProgressBar": False},
    }
    path = work.folder / "promptfooconfig.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def harness_file(work: Work) -> Path:
    """The same work as a spec of ours, written into the folder with its data. JSON is YAML."""
    rows = ({"id": str(i), "text": text, "target": "ok"} for i, text in enumerate(prompts(work.n)))
    data = work.folder / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    provider = {
        "api_base": work.url,
        "concurrency": work.concurrency,
        "models": {MODEL: {"class": "SMALL", "prices": {"input": 0.15, "output": 0.6}}},
    }
    spec = {
        "experiment": "bench",
        "task": {"dataset": data.name, "prompt": "{{ text }}", "scorers": ["exact"], "metric": "accuracy"},
        "search": {
            "models": [f"bench/{MODEL}"],
            "temperature": 0.0,
            "max_output_tokens": OUTPUT_TOKENS,
            "n_trials": 1,
        },
        "providers": {"bench": provider},
        "budget": {"usd": 100.0},
        "failures": "count_as_wrong",
    }
    path = work.folder / "bench.yaml"
    path.write_text(json.dumps(spec, indent=2), encoding="utf-8")
    return path


CLIENTS: dict[str, Callable[[Work], dict[str, object]]] = {
    "aiohttp_loop": aiohttp_loop,
    "aiohttp_uvloop": aiohttp_uvloop,
    "litellm_bare": litellm_bare,
    "ours_direct": ours_direct,
    "ours_litellm": ours_litellm,
    "inspect_ai": inspect_ai,
}


def function_calls(client: Callable[[Work], dict[str, object]], work: Work) -> dict[str, object]:
    """Python and C functions called, in all threads, for each call to the server.

    Free of noise, unlike time. The same events that cProfile counts, which cannot watch two threads at once
    on newer Pythons. Opening and closing of engine and store are in it, imports are not.
    """
    for folder in ("first", "second"):
        (work.folder / folder).mkdir()
    client(Work(url=work.url, n=WARM_UP, concurrency=work.concurrency, folder=work.folder / "first"))
    counter = itertools.count()

    def note(_frame: object, event: str, _arg: object) -> None:
        if event in ("call", "c_call"):
            next(counter)

    threading.setprofile(note)
    sys.setprofile(note)
    found = client(Work(url=work.url, n=work.n, concurrency=work.concurrency, folder=work.folder / "second"))
    sys.setprofile(None)
    threading.setprofile(None)
    return {**found, "function_calls": next(counter) / work.n}


def main(name: str, url: str, n: str, concurrency: str, folder: str) -> None:
    """Run one client and print what it found."""
    mode, _, client = name.rpartition(":")
    every = 10_000 if mode == "mark" else None
    work = Work(url=url, n=int(n), concurrency=int(concurrency), folder=Path(folder), mark_every=every)
    found = function_calls(CLIENTS[client], work) if mode == "count" else CLIENTS[client](work)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
