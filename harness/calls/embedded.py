"""Models that run on this machine: a server of our own per model, started at the first call that needs it.

In: calls for the provider "local". Out: replies, through the direct lane. A run whose answers are all in
the store starts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.calls.direct_lane import DirectProvider
from harness.calls.local_server import LocalServer
from harness.calls.provider import ProviderFault
from harness.calls.weights import installed
from harness.catalogue.models import Model
from harness.errors import ProviderError
from harness.records import Call, Reply

SLOTS = 2  # more hardly raise throughput on few cores, but the asynchronous path is then real


@dataclass(slots=True)
class _Running:
    server: LocalServer
    lane: DirectProvider


class EmbeddedProvider:
    """Answers calls with models of this machine. models: by name. folder: holds their weights."""

    def __init__(self, models: Mapping[str, Model], folder: Path, logs: Path) -> None:
        self._files = {name: weights_file(model, folder) for name, model in models.items()}
        self._contexts = {name: model.context_tokens for name, model in models.items()}
        self._logs = logs
        self._running: dict[str, _Running] = {}
        self._starting = asyncio.Lock()

    async def complete(self, call: Call) -> Reply:
        """Answer one call, starting the model's server if need be; see `provider.Provider`."""
        name = call.settings.model_name
        async with self._starting:
            if name not in self._running:
                self._running[name] = await asyncio.to_thread(self._start, name)
        running = self._running[name]
        try:
            return await running.lane.complete(call)
        except ProviderFault as fault:
            if fault.kind == "connection" and not running.server.alive:
                raise ProviderError(
                    f"the local server of {name!r} ended in the middle of the run; its log: "
                    f"{self._log(name)}; resume the run to go on from the last answer"
                ) from fault
            raise

    async def close(self) -> None:
        """Stop all servers."""
        for running in self._running.values():
            await running.lane.close()
            await asyncio.to_thread(running.server.close)
        self._running.clear()

    def _start(self, name: str) -> _Running:
        server = LocalServer.start(
            name,
            self._files[name],
            slots=SLOTS,
            context_tokens=self._contexts[name] or 2048,
            log=self._log(name),
        )
        return _Running(server, DirectProvider(server.url, server.key))

    def _log(self, name: str) -> Path:
        return self._logs / f"local-{name}.log"


def weights_file(model: Model, folder: Path) -> Path:
    """The installed weights of this model. Raises ProviderError that says how to fetch them."""
    found = installed(model.weights or model.name, folder)
    if found is None:
        raise ProviderError(
            f"the weights of {model.full_name!r} are not in {folder}; fetch them with "
            f"`harness models pull {model.weights or model.name}`"
        )
    return found
