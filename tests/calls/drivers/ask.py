"""A small process that asks N questions through the engine, for tests that kill, starve or double it.

`python ask.py STORE URL RUN N`: STORE is the URL of a store, URL that of an API in OpenAI's format. Says
"begin" before it touches the store, then one line of JSON for each outcome as it arrives (what the test is
told, the engine has made durable), and "spent" with its bill. Ends as the command line does: with the exit
code of the error, and its message.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module

from harness.calls.budget import Caps
from harness.calls.direct_lane import DirectProvider
from harness.calls.engine import Engine
from harness.calls.keys import call_key
from harness.catalogue.models import Model, Prices
from harness.errors import HarnessError
from harness.records import Call, CallFailure, Endpoint, Message, Outcome, Settings
from harness.store.store import open_store

MODEL = Model(provider="sim", name="small", model_class="SMALL", prices=Prices(input=1.0, output=4.0))
VECTORS = Model(
    provider="sim",
    name="vec",
    model_class="EMBEDDING",
    prices=Prices(input=1.0, output=0.0),
    texts_per_request=50,
    tokens_per_request=300_000,
)
LENGTHS = 40  # answers are cut off at so many different lengths, so that they differ


def questions(count: int) -> Iterator[Call]:
    """Calls that differ in their prompts, and in where their answers are cut off."""
    for number in range(count):
        settings = Settings(
            model="sim/small", prompt="plain", temperature=0.0, max_output_tokens=2 + number % LENGTHS
        )
        text = f"Question {number}: {'why ' * (number % 17)}?"
        yield Call(settings=settings, sample_id=str(number), messages=(Message("user", text),), task="ask")


def texts(count: int) -> Iterator[Call]:
    """Calls for the vectors of texts that differ."""
    settings = Settings(model="sim/vec", prompt="plain")
    for number in range(count):
        text = f"Text {number}: {'why ' * (number % 17)}?"
        yield Call(settings=settings, sample_id=str(number), texts=(text,), purpose="embed")


def told(outcome: Outcome, endpoint: Endpoint) -> list[object]:
    """An outcome as the test reads it: its key, then what does not change from run to run."""
    key = call_key(outcome.call, endpoint)
    if isinstance(outcome, CallFailure):
        return [key, outcome.call.sample_id, "failed", outcome.kind]
    usage = outcome.reply.usage
    tokens = [usage.input_tokens, usage.output_tokens]
    if outcome.reply.vectors is not None:
        return [key, outcome.call.sample_id, [vector.hex() for vector in outcome.reply.vectors], *tokens]
    return [key, outcome.call.sample_id, outcome.reply.text, outcome.reply.finish_reason, *tokens]


def say(line: str) -> None:
    """Write one line at once: whoever kills this process must know what it was told."""
    os.write(1, f"{line}\n".encode())


def obey_permissions() -> None:
    """Let root be bound by the permissions of files like everybody else (Linux)."""
    libc = ctypes.CDLL(None, use_errno=True)
    version_3, override, every = 0x20080522, (1 << 1) | (1 << 2), 0xFFFFFFFF
    header = (ctypes.c_uint32 * 2)(version_3, 0)
    # Effective, permitted and inheritable capabilities, the lower 32 of each and then the upper ones.
    sets = (ctypes.c_uint32 * 6)()
    if libc.capget(header, sets) == 0:
        sets[0] &= every ^ override
        libc.capset(header, sets)


def ask(options: argparse.Namespace) -> None:
    """Ask all questions, once each."""
    endpoint = Endpoint(
        provider="sim",
        wire="openai",
        litellm_prefix="openai",
        api_base=options.url,
        api_key_env=None,
        concurrency=options.concurrency,
    )
    # Loaded late by the engine; a kill while a library loads would show nothing.
    import_module("sqlalchemy.dialects.sqlite")
    if options.obey_permissions and sys.platform == "linux":
        obey_permissions()
    say("begin")
    store = open_store(options.store, {})
    try:
        with Engine(
            run=options.run,
            providers={"sim": DirectProvider(options.url)},
            endpoints={"sim": endpoint},
            models={"sim/small": MODEL, "sim/vec": VECTORS},
            store=store,
            caps=Caps(calls=options.cap, usd=options.cap_usd),
        ) as engine:
            for outcome in engine.run((texts if options.texts else questions)(options.n)):
                say(json.dumps(told(outcome, endpoint)))
            spent = engine.spend()
        say(f"spent {json.dumps([spent.calls, round(spent.usd, 12)])}")
    finally:
        store.close()


def main() -> None:
    """Read the command line and ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument("url")
    parser.add_argument("run")
    parser.add_argument("n", type=int)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--cap", type=int, help="calls that the run may pay for")
    parser.add_argument("--cap-usd", type=float, help="dollars that the run may pay")
    parser.add_argument("--texts", action="store_true", help="have texts embedded")
    parser.add_argument("--obey-permissions", action="store_true", help="also as root")
    try:
        ask(parser.parse_args())
    except HarnessError as error:
        sys.stderr.write(f"harness: {error}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
