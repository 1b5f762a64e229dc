"""Verbs about models: `models`, `models list`, `models pull`, `models serve`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import click

SHOWN = (
    click.option("--all", "retired", is_flag=True, help="With models that are retired."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON: all that is known of every model."),
    click.option(
        "--catalogue",
        "files",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A provider file of your own, as `catalogue` in a spec; may be given several times.",
    ),
)


@click.group(invoke_without_command=True)
@SHOWN[0]
@SHOWN[1]
@SHOWN[2]
@click.pass_context
def models(context: click.Context, *, retired: bool, as_json: bool, files: tuple[Path, ...]) -> None:
    """Show what models there are; fetch and serve those that run on this machine."""
    if context.invoked_subcommand is None:
        _show(retired=retired, as_json=as_json, files=files)


@models.command("list")
@SHOWN[0]
@SHOWN[1]
@SHOWN[2]
@click.pass_context
def list_models(context: click.Context, *, retired: bool, as_json: bool, files: tuple[Path, ...]) -> None:
    """List the models of the catalogue: class, price per million tokens, limits, settings that they take."""
    # The same options may stand before the verb.
    before = context.parent.params if context.parent else {}
    _show(
        retired=retired or bool(before.get("retired")),
        as_json=as_json or bool(before.get("as_json")),
        files=(*before.get("files", ()), *files),
    )


def _show(*, retired: bool, as_json: bool, files: tuple[Path, ...]) -> None:
    from harness.catalogue.listing import table, values
    from harness.catalogue.models import load_catalogue
    from harness.catalogue.reader import with_file
    from harness.cli.terminal import columns

    catalogue = load_catalogue()
    for file in files:
        catalogue = with_file(catalogue, file)
    if as_json:
        click.echo(json.dumps(values(catalogue), indent=2))
        return
    for line in table(catalogue, retired=retired, width=columns()):
        click.echo(line)


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch the weights NAME, or check a GGUF file of your own; every byte is checked by sha256."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from harness.calls.weights import pull as pull_weights
    from harness.catalogue.weights import models_folder

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
    from harness.calls.embedded import minilm, weights_file
    from harness.calls.lanes import LOGS
    from harness.calls.local_server import Launch
    from harness.calls.local_server import serve as serve_model
    from harness.calls.minilm_server import serve_minilm
    from harness.calls.weights import need_server
    from harness.catalogue.models import load_catalogue
    from harness.catalogue.weights import models_folder

    model = load_catalogue().find(name if "/" in name else f"local/{name}")
    folder = models_folder(os.environ)
    weights = weights_file(model, folder)
    if not need_server(model.weights or model.name):
        with serve_minilm(minilm(weights, folder).embed, model=model.name, port=port) as running:
            _until_interrupted(model.name, running.url, lambda: running.served)
        return
    log, vectors = LOGS / f"serve-{model.name}.log", model.model_class == "EMBEDDING"
    launch = Launch(model=model.name, gguf=weights, log=log, port=port, embedding=vectors)
    with serve_model(launch) as server:
        _until_interrupted(model.name, server.url, server.requests)


def _until_interrupted(name: str, url: str, served: Callable[[], int | None]) -> None:
    import threading

    click.echo(f"{name} answers at {url}; Ctrl-C ends it")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo(f"{served()} requests served")


COMMANDS = (models,)
