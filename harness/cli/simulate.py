"""The verb `simulate`: simulated providers over HTTP, for tests, benchmarks and trying things out."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port on 127.0.0.1; 0: any free one.")
@click.option(
    "--experiment",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="FOLDER",
    help="Answer this simulated experiment from its known truth; default: one fixed text.",
)
@click.option("--answer", default="ok", show_default=True, help="The fixed text.")
@click.option(
    "--latency",
    metavar="FORM",
    help="SECONDS, uniform:LOW:HIGH, lognormal:MEDIAN:SIGMA, or world[:FACTOR] with --experiment.",
)
@click.option(
    "--faults",
    metavar="SHARES",
    help="As in 429:0.2,500:0.1,reset:0.05,badjson:0.05,hang:0.02,retry-after-wrong:0.5.",
)
@click.option("--rpm", type=click.IntRange(min=1), help="Requests a minute above which 429 is answered.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of faults and latencies.")
def simulate(
    port: int,
    experiment: Path | None,
    answer: str,
    latency: str | None,
    faults: str | None,
    rpm: int | None,
    seed: int,
) -> None:
    """Serve simulated providers on 127.0.0.1, until Ctrl-C: all formats on one port.

    \b
    OpenAI, and what speaks like it   api_base: ADDRESS/v1
    Anthropic                         api_base: ADDRESS
    Google (Gemini)                   api_base: ADDRESS/v1beta
    Ollama                            api_base: ADDRESS

    Prints its address on one line. /stats counts requests and its own bill, /log lists them, /reset begins
    anew.
    """  # noqa: D301 - the mark of a paragraph whose lines click leaves as they are
    from harness.errors import UsageError
    from harness.testing.delays import Timing, parse_timing
    from harness.testing.faults import parse_faults
    from harness.testing.http_server import SimulatorServer
    from harness.testing.sources import FixedAnswers, Source

    timing = Timing() if latency is None else parse_timing(latency)
    if timing.pace and experiment is None:
        raise UsageError(f"--latency {latency} needs a world; give --experiment FOLDER, or another latency")
    source: Source = FixedAnswers(answer)
    if experiment is not None:
        from harness.testing.experiment_files import read_experiment, world_answers

        source = world_answers(read_experiment(experiment), pace=timing.pace)
    schedule = None if faults is None else parse_faults(faults, seed=seed)
    server = SimulatorServer(source, port=port, delay=timing.delay, faults=schedule, rpm=rpm, seed=seed)
    with server:
        click.echo(server.url)
        _wait_for_the_end()
    stats = server.stats()
    click.echo(f"{stats.requests} requests served, {stats.bill_usd:.6f} USD charged", err=True)


def _wait_for_the_end() -> None:
    """Return on Ctrl-C or a polite kill."""
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: ended.set())
    try:
        ended.wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


COMMANDS = (simulate,)
