"""Data sets of the hub without a network: from the hub's cache, or an error that says how to go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.plan.hub import parse_hub_name, refuse_unreachable

NAME = parse_hub_name("hf:owner/name")
OLD, NEW = "1f" * 20, "2e" * 20  # commits
# In a process of its own: the libraries read where the cache is, and that they are offline, when imported.
LOAD = """
import json, sys
from harness.errors import HarnessError
from harness.plan.hub import HubName, hub_rows, parse_hub_name

for name in sys.argv[1:]:
    try:
        print(json.dumps([row["text"] for _, row in hub_rows(parse_hub_name(name))]))
    except HarnessError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def hub_home(tmp_path: Path) -> Path:
    """A home of the hub's libraries as they lay it out: blobs, snapshots of commits, and names of these."""
    repo = tmp_path / "home" / "hub" / "datasets--owner--tickets"
    for commit, names, said in ((OLD, ("v1",), "old"), (NEW, ("v2", "main"), "new")):
        blob, data = repo / "blobs" / f"{commit}{commit[:24]}", repo / "snapshots" / commit / "data"
        for folder in (blob.parent, data, repo / "refs"):
            folder.mkdir(parents=True, exist_ok=True)
        rows = [{"id": f"t{n}", "text": f"{said} {n}", "target": "bug"} for n in range(3)]
        blob.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (data / "train.jsonl").symlink_to(Path("../../..") / "blobs" / blob.name)
        for name in names:
            (repo / "refs" / name).write_text(commit)
    return tmp_path / "home"


def loaded(home: Path, *names: str, variable: str = "HF_HUB_OFFLINE") -> list[list[str] | str]:
    """The texts of each data set, or the error, from a process whose libraries have this home."""
    environ = {"HF_HOME": str(home), variable: "1", "PATH": "", "HOME": str(home)}
    found = subprocess.run(
        [sys.executable, "-c", LOAD, *names],
        env=environ,
        cwd=home,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in found.stdout.splitlines()]


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"])
def test_offline_a_revision_comes_from_the_hubs_cache(hub_home: Path, variable: str) -> None:
    """By its name, by its commit, and without one the cache's main; never another revision."""
    old, new = ([f"{said} {n}" for n in range(3)] for said in ("old", "new"))
    names = ("hf:owner/tickets@v1", f"hf:owner/tickets@{OLD}", "hf:owner/tickets@v2", "hf:owner/tickets")
    assert loaded(hub_home, *names, variable=variable) == [old, old, new, new]


def test_offline_what_the_cache_does_not_hold_is_told(hub_home: Path) -> None:
    """Another revision of a data set that is there, one that is not there, and one without a revision."""
    absent, elsewhere, loose = loaded(hub_home, "hf:owner/tickets@v3", "hf:owner/other@v1", "hf:owner/other")
    assert absent.startswith("hf:owner/tickets@v3: is not in the hub's cache")
    assert "`hf download --repo-type dataset owner/tickets --revision v3`" in absent
    assert elsewhere.startswith("hf:owner/other@v1: is not in the hub's cache")
    assert loose.startswith("hf:owner/other: cannot be read")
    assert "without network" in loose


def refuse(*_):
    """A machine on which no name means anything."""
    raise OSError(-2, "Name or service not known")


def test_a_hub_out_of_reach_is_told_without_waiting():
    """The message names the address, and the way to use what was loaded before."""
    with pytest.raises(DataError, match=r"hf:owner/name: .*'huggingface\.co'.*HF_HUB_OFFLINE=1"):
        refuse_unreachable(NAME, {}, {}, refuse)


@pytest.mark.parametrize(
    ("environ", "proxies"),
    [
        ({"HF_HUB_OFFLINE": "1"}, {}),
        ({"HF_DATASETS_OFFLINE": "True"}, {}),
        ({}, {"https": "http://127.0.0.1:3128"}),
    ],
)
def test_who_stays_offline_or_has_a_proxy_is_not_asked(environ, proxies):
    """Offline, the library uses its copy; a proxy looks names up itself."""
    refuse_unreachable(NAME, environ, proxies, refuse)


def test_a_mirror_is_looked_up_instead():
    """The address that the library would use is the one that counts."""
    asked = []
    refuse_unreachable(
        NAME, {"HF_ENDPOINT": "http://mirror.example:8080/hub"}, {}, lambda *one: asked.append(one)
    )
    assert asked == [("mirror.example", 443)]
