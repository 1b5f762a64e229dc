"""The one door through which the files of exports reach the disk.

In: a target's name, a selection, a folder. Out: files with a manifest, all or none. Must never write a
credential, and never over a file that no export wrote, unless told to.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import cast

from harness.errors import UsageError
from harness.outputs.exports.credentials import refuse_credentials
from harness.outputs.exports.expiry import basis, retired
from harness.outputs.exports.manifest import Export, Fate, by_design, changed, fate_documents, lost
from harness.outputs.exports.selection import Selection
from harness.outputs.exports.targets import Target, target_for
from harness.outputs.files import encodable, write_text
from harness.records import JsonValue

MANIFEST_VERSION = 1
MANIFEST = "manifest.json"
PROMPT = "prompt.jinja"
DOCUMENT = "document.jinja"
DOCUMENTS = "document.json"  # settings of documents, where a target is told of one side at a time
# Where the template of documents stands beside that of queries; else in a file of its own.
DOCUMENT_PLACES: Mapping[str, str] = {"prompt.template": "document.template", "prompts": "prompts"}


@dataclass(frozen=True, slots=True)
class Written:
    """What an export left on disk: its files, the manifest last, and what it says."""

    paths: tuple[Path, ...]
    export: Export


def export(target: str, selection: Selection, folder: Path, *, force: bool = False) -> Written:
    """Write the target's files and its manifest into the folder, and take away what its last export left.

    Only files go that the last export wrote, that are as it left them, and that no other target's export
    there claims.

    Raises UsageError, before anything is written, when the target is unknown or cannot hold the selection,
    when a file is in the way that this export did not write and `force` is not given, when a folder stands
    where a file is to be, and when a setting or the prompt looks like a credential.
    """
    made = made_for(target, selection)
    manifest_path = folder / f"{target}.{MANIFEST}"
    contents = {folder / name: encodable(text) for name, text in made.files.items()}
    _refuse_folders(folder, (*contents, manifest_path))
    last = _last_export(manifest_path, force=force)
    if not force:
        _refuse_overwriting(contents, last, target)
    stale = _stale(folder, last, (*contents, manifest_path))
    manifest = manifest_text(target, selection, made)
    paths = [write_text(path, text) for path, text in contents.items()]
    written = Written((*paths, write_text(manifest_path, manifest)), made)
    for path in stale:
        path.unlink()
    return written


def made_for(target: str, selection: Selection) -> Export:
    """The files of this target, not written.

    Raises UsageError when the target is unknown or cannot hold the selection, and when a setting or the
    prompt looks like a credential.
    """
    found = target_for(target, selection)
    refuse_credentials(selection)
    written = found.write(selection) if found.sides else _by_side(target, found, selection)
    made = _complete(target, found, selection, written)
    refuse_credentials(selection, made.files)
    return made


def _by_side(name: str, target: Target, selection: Selection) -> Export:
    """The export for queries, with the settings of documents in a file of their own where they differ."""
    sided = selection.settings.sided
    made = target.write(selection.of_side("query"))
    if not sided:
        return made
    held, own = f"{name}.json", f"{name}.{DOCUMENTS}"
    of_documents = target.write(selection.of_side("document")).files[held]
    fates = tuple(
        replace(
            fate,
            requested=selection.settings.extra[fate.setting],
            exported=None if fate.exported is None else selection.settings.extra[fate.setting],
            key=f"{fate.key} ({own} for documents)" if fate.key else "",
        )
        if fate.setting in sided
        else fate
        for fate in made.fates
    )
    told = f"{held} and the script are for queries; documents are embedded with {own}"
    return replace(made, files={**made.files, own: of_documents}, fates=fates, remarks=(*made.remarks, told))


def _complete(name: str, target: Target, selection: Selection, made: Export) -> Export:
    """The export with its templates, and with what is to be said of any target's."""
    files, fates = dict(made.files), list(made.fates)
    address = selection.address(selection.settings.provider)
    if address is not None and all(fate.setting != "address" for fate in fates):
        fates.append(lost("address", address, f"{name} has no place for an address: say it where it is used"))
    variant, key, of_tasks = selection.settings.prompt, target.prompt, selection.task_templates
    if key == "" and selection.prompt_text is not None:
        key = f"{name}.{PROMPT}"
        files[key] = selection.prompt_text
    elif key is not None and of_tasks:
        key = target.task_prompts or f"{name}.TASK.{PROMPT}"
        if not target.task_prompts:
            files |= {f"{name}.{task}.{PROMPT}": text for task, text in of_tasks.items()}
    if key is None:
        fates.append(lost("prompt", variant, "Eliza writes its prompts itself"))
    elif selection.prompt_text is None and not of_tasks:
        fates.append(lost("prompt", variant, "its template is not known here"))
    else:
        fates.append(Fate(setting="prompt", requested=variant, exported=variant, key=key))
    if selection.document_text is not None:
        place = None if target.prompt is None else DOCUMENT_PLACES.get(target.prompt, f"{name}.{DOCUMENT}")
        if place is None:
            fates.append(lost("document", variant, "Eliza embeds its documents as they are"))
        else:
            fates.append(Fate(setting="document", requested=variant, exported=variant, key=place))
            files |= {} if place in DOCUMENT_PLACES.values() else {place: selection.document_text}
    remarks = (*made.remarks, *retired(selection))
    return replace(made, files=files, fates=tuple(fates), remarks=remarks)


def manifest_text(target: str, selection: Selection, made: Export) -> str:
    """The manifest: what becomes of each setting, what the export rests on, and the names of its files."""
    choice = selection.choice
    document: dict[str, JsonValue] = {
        "format": "harness export manifest",
        "format_version": MANIFEST_VERSION,
        "target": target,
        "experiment": choice.experiment,
        "run": choice.run,
        "policy": choice.policy,
        "same_as_measured": not changed(made.fates),
        "settings_same_as_measured": changed(made.fates) == by_design(changed(made.fates)),
        "settings": fate_documents(made.fates),
        "remarks": list(made.remarks),
        "caveats": _caveats(selection),
        "rests_on": basis(selection, made.models),
        "files": {name: _sha256(encodable(text)) for name, text in made.files.items()},
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _caveats(selection: Selection) -> list[JsonValue]:
    """What readers of the recommendations were told, each sentence once."""
    return list(dict.fromkeys(caveat for choice in selection.runs for caveat in choice.caveats))


def read_manifest(path: Path) -> Mapping[str, JsonValue]:
    """The manifest in this file. Raises UsageError when it is none, or lacks a part."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as a manifest: {error}; export anew") from error
    if not isinstance(document, dict) or "rests_on" not in document or "files" not in document:
        raise UsageError(f"{path}: is no manifest of `harness export`; export anew, or name another folder")
    found = cast("Mapping[str, JsonValue]", document)
    rests_on, files = found["rests_on"], found["files"]
    faults = [] if isinstance(found.get("run"), str) else ["run"]
    faults += [] if isinstance(files, dict) else ["files"]
    faults += _faults_of_basis(rests_on) if isinstance(rests_on, dict) else ["rests_on"]
    if faults:
        raise UsageError(
            f"{path}: {', '.join(faults)} missing, or not as `harness export` writes it; export anew"
        )
    return found


def missing_files(folder: Path, manifest: Mapping[str, JsonValue]) -> Iterator[str]:
    """A sentence for each file of this manifest that is gone; one that a user edited is the user's."""
    for name in cast("Mapping[str, JsonValue]", manifest["files"]):
        if name == Path(name).name and not (folder / name).is_file():
            yield f"{name} is gone; export anew"


def _faults_of_basis(rests_on: Mapping[str, JsonValue]) -> list[str]:
    faults: list[str] = []
    try:
        date.fromisoformat(str(rests_on.get("confirm_by")))
    except ValueError:
        faults.append("rests_on.confirm_by")
    runs, models = rests_on.get("runs"), rests_on.get("models")
    if not isinstance(runs, dict) or not all(isinstance(one, dict) for one in runs.values()):
        faults.append("rests_on.runs")
    if not isinstance(models, dict) or not all(
        isinstance(one, dict | None) and isinstance((one or {}).get("prices"), dict | None)
        for one in models.values()
    ):
        faults.append("rests_on.models")
    return faults


def _refuse_folders(folder: Path, paths: Sequence[Path]) -> None:
    """Raise UsageError when a folder stands where a file is to be, or a file where the folder is to be."""
    blocked = next((one for one in (folder, *folder.parents) if one.exists() and not one.is_dir()), None)
    if blocked is not None:
        raise UsageError(f"{blocked} is a file, expected a folder to export into; choose another folder")
    in_the_way = [str(path) for path in paths if path.is_dir()]
    if in_the_way:
        raise UsageError(
            f"{', '.join(in_the_way)} is a folder, and a file of that name is to be written; move it away, "
            "or choose another folder"
        )


def _last_export(manifest: Path, *, force: bool) -> Mapping[str, JsonValue]:
    """Hashes of the files that the last export of the target wrote, by name. force: a broken one is none."""
    if not manifest.exists():
        return {}
    try:
        return cast("Mapping[str, JsonValue]", read_manifest(manifest)["files"])
    except UsageError:
        if force:
            return {}
        raise


def _unchanged(path: Path, last: Mapping[str, JsonValue]) -> bool:
    return last.get(path.name) == hashlib.sha256(path.read_bytes()).hexdigest()


def _refuse_overwriting(contents: Mapping[Path, str], last: Mapping[str, JsonValue], target: str) -> None:
    """Raise UsageError when a file is there that the last export of this target did not leave as it is."""
    in_the_way = [str(path) for path in contents if path.exists() and not _unchanged(path, last)]
    if in_the_way:
        raise UsageError(
            f"{', '.join(in_the_way)} already there, and not as an export of {target} left it; choose "
            "another folder, or force it"
        )


def _stale(folder: Path, last: Mapping[str, JsonValue], new: Sequence[Path]) -> list[Path]:
    """Files of the last export that the new one does not write: left there, they would stay in force."""
    others = [path for path in folder.glob(f"*.{MANIFEST}") if path not in new]
    claimed = {name for path in others for name in _last_export(path, force=True)}
    named = [folder / name for name in last if name == Path(name).name and name not in claimed]
    return [path for path in named if path not in new and path.is_file() and _unchanged(path, last)]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
