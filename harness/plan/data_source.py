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
from harness.plan.columns_spec import ColumnsSpec
from harness.plan.frames import FROM_PYTHON
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


def find_rows(dataset: str, folder: Path, cache: Path, columns: ColumnsSpec | None = None) -> RowSource:
    """The rows that `task.dataset` means.

    folder: that of the spec. cache: where converted files are kept. columns: which column is what; a
    definition says that by itself.
    Raises UsageError when the name means nothing, and DataError when what it means cannot be used.
    """
    named = Columns() if columns is None else columns.read()
    if dataset.startswith("hf:"):
        try:
            return replace(_of_hub(parse_hub_name(dataset, folder), cache), columns=named)
        except DataError as error:
            raise UsageError(f"cannot be used: {error}") from error
    path = folder / dataset
    if path.suffix in ROW_FILES and path.is_file():
        return replace(_of_file(path, cache), columns=named)
    if columns is not None:
        raise UsageError(
            f"names {dataset!r}, a data set definition, which says itself which column is what; move "
            "task.columns there"
        )
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
        rows = replace(_defined_hub(spec, source, path, cache), name=path.stem)
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
    line = source.line(("columns",)) if "columns" in spec.model_fields_set else 1
    return replace(
        rows,
        columns=spec.columns.read(),
        columns_at=(source.file, line),
        source=spec.source or rows.source,
        licence=spec.licence,
        attribution=spec.attribution,
    )


def _defined_hub(spec: DatasetSpec, source: YamlSource, path: Path, cache: Path) -> RowSource:
    try:
        hub = parse_hub_name(str(spec.hub), path.parent)
        return _of_hub(replace(hub, config=spec.config, split=spec.split), cache)
    except (UsageError, DataError) as error:
        raise _at(source, "hub", str(error)) from error


def _of_file(path: Path, cache: Path) -> RowSource:
    sha256 = file_fingerprint(path)
    given = path.parent == cache.resolve() and path.name.startswith(FROM_PYTHON)
    source = RowSource(path=path, shown="task.dataset" if given else str(path), name=path.stem, sha256=sha256)
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
    # A branch, a tag or no revision means what may be other rows tomorrow: asked for again every time.
    if not hub.is_pinned or not path.is_file():
        path = write_rows(hub_rows(hub), cache, name)
    return RowSource(
        path=path,
        shown=hub.shown,
        name=hub.name,
        sha256=file_fingerprint(path),
        converted=True,
        source="" if hub.folder else f"https://huggingface.co/datasets/{hub.name}",
    )


def _at(source: YamlSource, key: str, message: str) -> DataError:
    return DataError([Problem(source.file, source.line((key,)), key, message)])
