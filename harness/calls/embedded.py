"""Models that run on this machine, begun at the first call that needs them.

In: calls for the provider "local". Out: replies: through the direct lane from a server of our own for weights
in GGUF form, or from this process for all-MiniLM-L6-v2. A run whose answers are all in the store starts
nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.calls.direct_lane import DirectProvider
from harness.calls.local_server import PROGRAM, Launch, LocalServer, serve
from harness.calls.provider import Provider, ProviderFault
from harness.calls.weights import installed
from harness.catalogue.models import Model
from harness.errors import ProviderError
from harness.records import Call, Reply

if TYPE_CHECKING:
    from harness.calls.minilm import MiniLm

SAFETENSORS, TOKENIZER = ".safetensors", "minilm-tokenizer"
SLOTS = 2  # more hardly raise throughput on few cores, but the asynchronous path is then real


@dataclass(slots=True)
class _Running:
    """server: `None` when the model runs in this process."""

    server: LocalServer | None
    lane: Provider


class EmbeddedProvider:
    """Answers calls with models of this machine. models: by name. folder: holds their weights.

    stream: see `direct_lane.DirectProvider`. program: what each server runs; see `local_server.Launch`.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        folder: Path,
        logs: Path,
        *,
        stream: bool = False,
        program: tuple[str, ...] = PROGRAM,
    ) -> None:
        self._files = {name: weights_file(model, folder) for name, model in models.items()}
        self._models = dict(models)
        self._folder = folder
        self._logs = logs
        self._stream = stream
        self._program = program
        self._starts: dict[str, asyncio.Task[_Running]] = {}
        self._starting = asyncio.Lock()

    async def complete(self, call: Call) -> Reply:
        """Answer one call, starting the model's server if need be; see `provider.Provider`."""
        name = call.settings.model_name
        gives_vectors = self._models[name].model_class == "EMBEDDING"
        if bool(call.texts) != gives_vectors:
            raise ProviderFault(
                "bad_request",
                f"local/{name} gives {'vectors, not answers' if gives_vectors else 'no vectors'}",
            )
        if name not in self._starts:
            self._starts[name] = asyncio.create_task(self._start(name))
        # Shielded: a caller who gives up while a large model loads must not leave a server that nobody ends.
        running = await asyncio.shield(self._starts[name])
        try:
            return await running.lane.complete(call)
        except ProviderFault as fault:
            if fault.kind == "connection" and running.server is not None and not running.server.alive:
                raise ProviderError(
                    f"the local server of {name!r} ended in the middle of the run; its log: "
                    f"{self._log(name)}; resume the run to go on from the last answer"
                ) from fault
            raise

    async def close(self) -> None:
        """Stop all servers, those that are still starting too."""
        starts, self._starts = self._starts, {}
        for running in await asyncio.gather(*starts.values(), return_exceptions=True):
            if isinstance(running, _Running):
                await running.lane.close()
                if running.server is not None:
                    await asyncio.to_thread(running.server.close)

    async def _start(self, name: str) -> _Running:
        model, file = self._models[name], self._files[name]
        if file.suffix == SAFETENSORS:
            from harness.calls.minilm import MiniLmProvider

            return _Running(None, MiniLmProvider(await asyncio.to_thread(minilm, file, self._folder)))
        launch = Launch(
            model=name,
            gguf=file,
            log=self._log(name),
            slots=SLOTS,
            context_tokens=model.context_tokens or 2048,
            embedding=model.model_class == "EMBEDDING",
            key=secrets.token_hex(16),
            program=self._program,
        )
        async with self._starting:  # one at a time: each fills memory and all cores while it loads
            server = await asyncio.to_thread(serve, launch)
        return _Running(server, DirectProvider(server.url, server.key, stream=self._stream))

    def _log(self, name: str) -> Path:
        return self._logs / f"local-{name}.log"


def minilm(weights: Path, folder: Path) -> MiniLm:
    """The model of these weights, loaded. folder: where its tokenizer is installed. Raises ProviderError."""
    from harness.calls.minilm import MiniLm

    tokenizer = installed(TOKENIZER, folder)
    assert tokenizer is not None, "the weights are not there without it"
    return MiniLm(weights, tokenizer)


def weights_file(model: Model, folder: Path) -> Path:
    """The installed weights of this model. Raises ProviderError that says how to fetch them."""
    found = installed(model.weights or model.name, folder)
    if found is None:
        raise ProviderError(
            f"the weights of {model.full_name!r} are not in {folder}; fetch them with "
            f"`harness models pull {model.weights or model.name}`"
        )
    return found
