"""A gate's verdict as JUnit XML, which every CI server shows.

In: a verdict. Out: XML with one test case for each metric and floor, in the form that Jenkins reads. Must
not decide anything or write a file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from harness.plan.resolution import points
from harness.verdicts import FloorCheck, GateVerdict, Versus

# XML 1.0 has no place for most control characters, half surrogates and two more; models write all of them.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(it: GateVerdict, *, unclear_passes: bool = False) -> str:
    """The verdict as XML text, with a line break at its end. unclear_passes: skip what is unclear."""
    properties = (("outcome", it.outcome), ("run", it.run), ("model", it.settings.model))
    cases = _cases(it, unclear_passes=unclear_passes)
    return _document(it.experiment, properties, cases, "\n".join((*it.reasons, *it.notes)))


def error_text(experiment: str, kind: str, reason: str) -> str:
    """XML text of a gate that came to no verdict: one case, with an error of this kind."""
    case = _case(experiment, "measured", "error", kind, reason)
    return _document(experiment, (("outcome", "error"),), [case], reason)


def _document(
    experiment: str, named: Sequence[tuple[str, str]], cases: Sequence[ET.Element], said: str
) -> str:
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
    }
    root = ET.Element("testsuites", {"name": "harness gate", **counts})
    skipped = str(sum(case.find("skipped") is not None for case in cases))
    suite = ET.SubElement(root, "testsuite", {"name": _clean(experiment), **counts, "skipped": skipped})
    properties = ET.SubElement(suite, "properties")
    for name, value in named:
        ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    suite.extend(cases)
    out = ET.SubElement(suite, "system-out")
    out.text = _clean(said)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _cases(it: GateVerdict, *, unclear_passes: bool) -> list[ET.Element]:
    name = it.experiment
    if it.outcome == "stale":
        return [_case(name, "the baseline is current", "error", "stale", " ".join(it.reasons))]
    cases = [
        _metric(name, one, it, unclear_passes=unclear_passes)
        for one in (it.comparison.metrics if it.comparison else ())
    ]
    cases += [_floor(name, one, unclear_passes=unclear_passes) for one in it.floors]
    if not cases:
        kind = None if it.outcome == "passed" else "skipped" if unclear_passes else "failure"
        cases.append(_case(name, "measured", kind, it.outcome, " ".join(it.reasons)))
    return cases


def _metric(name: str, one: Versus, it: GateVerdict, *, unclear_passes: bool) -> ET.Element:
    title = f"{one.metric} drops by no more than {points(one.tolerance)}"
    if it.updated or one.verdict in ("same", "better"):
        return _case(name, title)
    if one.verdict == "unclear" and unclear_passes:
        return _case(name, title, "skipped", "unclear", one.reason)
    return _case(name, title, "failure", one.verdict, one.reason)


def _floor(name: str, one: FloorCheck, *, unclear_passes: bool) -> ET.Element:
    if one.standing == "keeps":
        return _case(name, one.floor)
    if one.standing == "unclear" and unclear_passes:
        return _case(name, one.floor, "skipped", "unclear", one.reason)
    kind = "unclear" if one.standing == "unclear" else "broken"
    return _case(name, one.floor, "failure", kind, one.reason)


def _case(
    experiment: str, title: str, kind: str | None = None, word: str = "", message: str = ""
) -> ET.Element:
    case = ET.Element("testcase", {"name": _clean(title), "classname": f"harness.{_clean(experiment)}"})
    if kind is not None:
        named = {"message": _clean(f"{word}: {message}" if kind == "skipped" else message)}
        found = ET.SubElement(case, kind, named if kind == "skipped" else {**named, "type": word})
        found.text = _clean(message)
    return case


def _clean(value: str) -> str:
    return FORBIDDEN.sub("\ufffd", value)
