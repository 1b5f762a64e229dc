"""Verbs about models: `models list`, `models pull`, `models serve`."""

from __future__ import annotations

import os

import click


@click.group()
def models() -> None:
    """Show what models there are; fetch and serve those that run on this machine."""


@models.command("list")
def list_models() -> None:
    """List the models of the catalogue with class and price per million tokens."""
    from harness.catalogue.models import load_catalogue

    for model in load_catalogue().models:
        prices = model.prices
        price = "unpriced" if prices is None else f"{prices.input:g} in, {prices.output:g} out"
        note = f"  retired: use {model.successor}" if model.retired else ""
        click.echo(f"{model.full_name:<52} {model.model_class:<10} {price}{note}")


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch the weights NAME, or check a GGUF file of your own; every byte is checked by sha256."""
    from pathlib import Path

    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from harness.calls.weights import models_folder
    from harness.calls.weights import pull as pull_weights

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(Path(name).name, total=None, visible=False)
        path = pull_weights(
            name,
            folder=models_folder(os.environ),
            progress=lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
    click.echo(f"{path}: checked")


@models.command()
@click.argument("name")
@click.option("--port", type=int, default=0, help="Port on 127.0.0.1; 0: any free one.")
def serve(name: str, port: int) -> None:
    """Serve the local model NAME on 127.0.0.1 in OpenAI's format, until Ctrl-C; then say what it served."""
    import threading

    from harness.calls.embedded import weights_file
    from harness.calls.lanes import LOGS
    from harness.calls.local_server import Launch
    from harness.calls.local_server import serve as serve_model
    from harness.calls.weights import models_folder
    from harness.catalogue.models import load_catalogue

    model = load_catalogue().find(name if "/" in name else f"local/{name}")
    gguf = weights_file(model, models_folder(os.environ))
    with serve_model(
        Launch(model=model.name, gguf=gguf, log=LOGS / f"serve-{model.name}.log", port=port)
    ) as server:
        click.echo(f"{model.name} answers at {server.url}; Ctrl-C ends it")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            click.echo(f"{server.requests()} requests served")


COMMANDS = (models,)
