"""Scorers that are handed over in Python, taken out of a spec so that the rest of it is plain values.

In: a spec as a mapping, and scorers given beside it. Out: the spec with a name and a checksum in place of
each object, and the objects by name. Nothing is called here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from harness.errors import UsageError
from harness.plan.frames import each_task
from harness.scores.own import form_of, is_own, name_of


def lifted(spec: object, given: Sequence[object] = ()) -> tuple[object, dict[str, object]]:
    """The spec without objects, and the objects by name, those of `given` included.

    Raises UsageError for two objects of one name, and for something in `given` that is no scorer.
    """
    found: dict[str, object] = {}
    for thing in given:
        if not is_own(thing):
            raise UsageError(f"scorers holds {thing!r:.80}; expected functions of an answer, or scorers")
        _note(thing, found)
    if not isinstance(spec, Mapping):
        return spec, found

    def plain(task: Mapping[str, object]) -> Mapping[str, object]:
        return {**task, "scorers": _plain(task["scorers"], found)} if "scorers" in task else task

    return each_task(cast("Mapping[str, object]", spec), plain), found


def _plain(value: object, found: dict[str, object]) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(one, found) for key, one in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(one, found) for one in cast("Sequence[object]", value)]
    if not is_own(value):
        return value
    _note(value, found)
    return form_of(value)


def _note(thing: object, found: dict[str, object]) -> None:
    name = name_of(thing)
    if found.setdefault(name, thing) is not thing:
        raise UsageError(f"two scorers given in Python are called {name!r}; rename one")
