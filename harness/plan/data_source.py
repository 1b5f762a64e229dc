"""From `task.dataset` to a file of rows: finds the definition, checks the pin, converts once.

In: what the spec says and the folder it stands in. Out: a `RowSource`. Must not read rows beyond
converting them; `rows` judges their content.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pydantic import Field, model_validator

from harness.errors import DataError, Problem, UsageError
from harness.fingerprint import file_fingerprint, fingerprint
from harness.plan.columns import Columns
from harness.plan.hub import HubName, hub_rows, parquet_rows, parse_hub_name
from harness.plan.problems import Problems, suggestion
from harness.plan.ranges import Strict
from harness.plan.rows import RowSource
from harness.plan.spec import SHA256
from harness.plan.spec_reader import read_model
from harness.plan.tables import CONVERSION, csv_rows, write_rows
from harness.plan.yaml_source import YamlSource, read_yaml

CACHE_FOLDER = Path(".harness") / "data"
ROW_FILES = (".jsonl", ".csv", ".parquet")
DEFINITIONS = (".yaml", ".yml")


class ColumnsSpec(Strict):
    """Which column is what."""

    id: str | None = Field(
        default=None, description="Unique name of a row; default id, else made from content."
    )
    target: str = Field(default="target", description="What a good answer is.")
    group: str | list[str] | None = Field(
        default=None,
        description="Rows that are alike share it, and stay together in a split; default group, if present. "
        "Several: rows that share a text in any of them, as in [text_a, text_b] of pairs.",
    )
    inputs: list[str] | None = Field(
        default=None, description="What templates see; default every other column."
    )
    metadata: list[str] | None = Field(
        default=None, description="Kept, but not shown to templates; default the object metadata, if present."
    )


class DatasetSpec(Strict):
    """A data set definition: where rows are, what their columns mean, and where they come from."""

    file: str | None = Field(
        default=None, description="A .jsonl, .csv or .parquet file relative to this one."
    )
    hub: str | None = Field(default=None, description="owner/name@revision on the Hugging Face hub.")
    config: str | None = Field(default=None, description="Configuration of a hub data set.")
    split: str | None = Field(default=None, description="Split of a hub data set.")
    sha256: str | None = Field(
        default=None, pattern=SHA256, description="Pin: 64 hex digits of the file's content."
    )
    columns: ColumnsSpec = Field(default_factory=ColumnsSpec, description="Which column is what.")
    source: str = Field(default="", description="Where the rows come from.")
    licence: str = Field(default="", description="Under which terms, best as an SPDX name.")
    attribution: str = Field(default="", description="Whom to name.")
    description: str = Field(default="", description="What is in it.")

    @model_validator(mode="after")
    def _one_place(self) -> DatasetSpec:
        if (self.file is None) == (self.hub is None):
            raise ValueError("names both or neither of `file` and `hub`; give exactly one of them")
        return self


def find_rows(dataset: str, folder: Path, cache: Path) -> RowSource:
    """The rows that `task.dataset` means.

    folder: that of the spec. cache: where converted files are kept.
    Raises UsageError when the name means nothing, and DataError when what it means cannot be used.
    """
    if dataset.startswith("hf:"):
        return _of_hub(parse_hub_name(dataset), cache)
    path = folder / dataset
    if path.suffix in ROW_FILES and path.is_file():
        return _of_file(path, cache)
    if path.suffix not in (*DEFINITIONS, *ROW_FILES):
        path = _named(dataset, folder)
    if not path.is_file():
        raise UsageError(f"names {dataset!r}, but there is no file {path}; correct the path")
    return _of_definition(path, cache)


def rows_missing(dataset: str, folder: Path) -> bool:
    """Whether a file that `task.dataset` means is not there: that of the rows, or of their definition.

    A data set of a hub is never missing in this sense. Raises nothing for what is there and cannot be used.
    """
    if dataset.startswith("hf:"):
        return False
    path = folder / dataset
    if path.suffix not in (*DEFINITIONS, *ROW_FILES):
        try:
            path = _named(dataset, folder)
        except UsageError:
            return True
    if path.suffix in ROW_FILES or not path.is_file():
        return not path.is_file()
    held = read_yaml(path).value
    file = held.get("file") if isinstance(held, dict) else None
    return isinstance(file, str) and not (path.parent / file).is_file()


def _named(name: str, folder: Path) -> Path:
    known: set[str] = set()
    for above in (folder, *folder.absolute().parents):
        candidates = above / "datasets"
        if (candidates / f"{name}.yaml").is_file():
            return candidates / f"{name}.yaml"
        known.update(path.stem for path in candidates.glob("*.yaml"))
    if Path(name).suffix or "/" in name:
        kinds = ", ".join((*ROW_FILES, *DEFINITIONS))
        raise UsageError(f"names {name!r}, which is no data file; expected a path ending in one of {kinds}")
    raise UsageError(
        f"names the data set {name!r}, but no datasets/{name}.yaml stands beside the spec or above it; "
        f"{suggestion(name, known)}"
    )


def _of_definition(path: Path, cache: Path) -> RowSource:
    source = read_yaml(path)
    problems = Problems(source)
    spec = read_model(DatasetSpec, source, problems)[0] if source.value is not None else None
    if spec is None or not problems.none:
        raise DataError(problems.found)
    if spec.hub is not None:
        hub = replace(parse_hub_name(spec.hub), config=spec.config, split=spec.split)
        rows = replace(_of_hub(hub, cache), name=path.stem)
    else:
        file = path.parent / str(spec.file)
        if file.suffix not in ROW_FILES:
            raise _at(
                source, "file", f"names {file.name!r}, expected a file ending in {', '.join(ROW_FILES)}"
            )
        if not file.is_file():
            raise _at(source, "file", f"names {spec.file!r}, but there is no file {file}; correct the path")
        rows = replace(_of_file(file, cache), name=path.stem)
    if spec.sha256 is not None and rows.sha256 != spec.sha256:
        message = (
            f"is {spec.sha256}, but the rows of {rows.shown} have {rows.sha256}: they are not the ones "
            "that were pinned. Restore them, or, if the change is meant, write the new value here"
        )
        raise _at(source, "sha256", message)
    names = spec.columns
    return replace(
        rows,
        columns=Columns(
            id=names.id,
            target=names.target,
            group=tuple(names.group) if isinstance(names.group, list) else names.group,
            inputs=None if names.inputs is None else tuple(names.inputs),
            metadata=None if names.metadata is None else tuple(names.metadata),
        ),
        source=spec.source or rows.source,
        licence=spec.licence,
        attribution=spec.attribution,
    )


def _of_file(path: Path, cache: Path) -> RowSource:
    sha256 = file_fingerprint(path)
    source = RowSource(path=path, shown=str(path), name=path.stem, sha256=sha256)
    if path.suffix == ".jsonl":
        return source
    read = csv_rows if path.suffix == ".csv" else parquet_rows
    name = fingerprint([CONVERSION, path.suffix, sha256])
    converted = cache / f"{name}.jsonl"
    if not converted.is_file():
        converted = write_rows(read(path, str(path)), cache, name)
    return replace(source, path=converted, converted=True)


def _of_hub(hub: HubName, cache: Path) -> RowSource:
    name = fingerprint([CONVERSION, hub])
    path = cache / f"{name}.jsonl"
    # Without a revision the name means whatever is newest, so it is asked for again every time.
    if hub.revision is None or not path.is_file():
        path = write_rows(hub_rows(hub), cache, name)
    return RowSource(
        path=path,
        shown=hub.shown,
        name=hub.name,
        sha256=file_fingerprint(path),
        converted=True,
        source=f"https://huggingface.co/datasets/{hub.name}",
    )


def _at(source: YamlSource, key: str, message: str) -> DataError:
    return DataError([Problem(source.file, source.line((key,)), key, message)])
