"""A gate's verdict for CI: JUnit that Jenkins reads, the comment, the card, and GitHub's annotations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from harness.advice.compare import Question, compare
from harness.advice.gate import power
from harness.outputs import gate_faults, gate_words, junit
from harness.testing.builders import a_settings
from harness.testing.sheets import a_sheet, a_side
from harness.verdicts import FloorCheck, GateVerdict

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).with_name("jenkins-junit.xsd")))
HOSTILE = "]]></failure><script>alert(1)</script> -->\x00\x1b[31m\ud800 `|` [x](http://evil.example)"
FLOORS = tuple(
    FloorCheck(
        floor=f"accuracy >= {bound}",
        figure="accuracy",
        value=0.85,
        low=0.79,
        high=0.89,
        level=0.975,
        standing=standing,
        reason=f"it is 0.85 and {standing}",
    )
    for bound, standing in ((0.7, "keeps"), (0.8, "unclear"), (0.9, "breaks"))
)


def a_comparison(lost=20):
    """New settings that lose so many of 200 samples."""
    columns = [tuple(float(place >= wrong) for place in range(200)) for wrong in (10, 10 + lost)]
    base, new = (a_sheet(scores={"accuracy": column}) for column in columns)
    hotter = replace(new, settings=a_settings(temperature=0.9))
    return compare(a_side(base, name="before"), a_side(hotter, name="after"), Question())


def a_verdict(**changes):
    """A gate that failed on its one metric and on one of three floors."""
    found = a_comparison()
    verdict = GateVerdict(
        experiment="ticket-triage",
        run="after",
        outcome="failed",
        reasons=(found.reason, "accuracy >= 0.9: it is 0.85 and breaks"),
        settings=a_settings(temperature=0.9),
        alpha=0.05,
        comparison=found,
        floors=FLOORS,
        power=(power(found.base.sheet, "accuracy", tolerance=0.01, level=0.95),),
        baseline="reports/baselines/x.json",
    )
    return replace(verdict, **changes)


STALE = a_verdict(outcome="stale", comparison=None, floors=(), reasons=("the data moved",), run="")
VERDICTS = {
    "failed": a_verdict(),
    "passed": a_verdict(outcome="passed", comparison=a_comparison(0), floors=FLOORS[:1]),
    "unclear": a_verdict(outcome="unclear", comparison=a_comparison(3), floors=FLOORS[:2]),
    "stale": STALE,
    "nothing measured": a_verdict(
        outcome="unclear", comparison=None, floors=(), reasons=("no answers came",)
    ),
    "hostile": a_verdict(experiment=HOSTILE, reasons=(HOSTILE,), run=HOSTILE, notes=(HOSTILE,)),
}


@pytest.mark.parametrize("unclear_passes", [False, True])
@pytest.mark.parametrize("name", VERDICTS)
def test_junit_keeps_the_schema_of_jenkins(name, unclear_passes):
    """Every outcome, and texts that are no XML; the counts are those of the cases."""
    root = etree.fromstring(junit.text(VERDICTS[name], unclear_passes=unclear_passes).encode())
    SCHEMA.assertValid(root)
    (suite,) = root
    for count, tag in (
        ("tests", "testcase"),
        ("failures", "failure"),
        ("errors", "error"),
        ("skipped", "skipped"),
    ):
        assert int(suite.get(count)) == len(suite.findall(f".//{tag}")), count


def test_junit_has_one_case_a_question():
    """What is sure fails, what is unclear fails or is skipped, and each says why."""
    cases = {
        case.get("name"): case for case in etree.fromstring(junit.text(a_verdict()).encode()).iter("testcase")
    }
    assert list(cases) == ["accuracy drops by no more than 1 point", *(one.floor for one in FLOORS)]
    kinds = [None if not len(case) else (case[0].tag, case[0].get("type")) for case in cases.values()]
    assert kinds == [("failure", "worse"), None, ("failure", "unclear"), ("failure", "broken")]
    assert "-10.0 points" in cases["accuracy drops by no more than 1 point"][0].text
    lenient = etree.fromstring(junit.text(a_verdict(), unclear_passes=True).encode())
    assert [case.get("name") for case in lenient.iter("testcase") if case.find("skipped") is not None] == [
        "accuracy >= 0.8"
    ]


def test_a_stale_baseline_is_an_error_in_junit():
    """No failure: nothing was tested."""
    (case,) = etree.fromstring(junit.text(STALE).encode()).iter("testcase")
    assert [child.tag for child in case] == ["error"]


def test_the_schema_can_tell_wrong_from_right():
    """A case without a name, and a count that is none."""
    text = junit.text(a_verdict())
    for old, new in ((' name="accuracy &gt;= 0.7"', ""), ('tests="4"', 'tests="many"')):
        assert old in text
        assert not SCHEMA.validate(etree.fromstring(text.replace(old, new, 1).encode()))


@pytest.mark.parametrize("name", VERDICTS)
def test_the_comment_is_markdown_whose_tables_hold_together(name):
    """First the marker, then the verdict; rows have the cells of their head; no markup from outside."""
    text = gate_words.markdown(VERDICTS[name])
    first, second = text.splitlines()[:2]
    assert first.startswith("<!-- harness gate: ")
    assert first.endswith(" -->")
    assert first.count("-->") == 1
    assert second.startswith("### ")
    tables = [block.splitlines() for block in text.split("\n\n") if block.startswith("|")]
    for table in tables:
        assert len({row.replace("\\|", "").count("|") for row in table}) == 1
    assert "<script" not in text
    assert "[x](" not in text


def test_the_comment_tells_what_a_reviewer_asks():
    """Why, by how much, which samples, and what the gate could see at all."""
    text = gate_words.markdown(a_verdict())
    for part in (
        "### ❌ ticket-triage: failed",
        "| accuracy | 0.950 | 0.850 | -10.0 points \\[",
        "| accuracy &gt;= 0.9 | 0.85 | \\[0.79, 0.89\\], each end with 97.5% confidence | broken |",
        "<summary>20 samples dropped and 0 gained in accuracy",
        "What this gate can see",
        "Changed: temperature 0.3 to 0.9",
        "Tested: sim/small, prompt plain, temperature 0.9",
    ):
        assert part in text, part


@pytest.mark.parametrize("name", VERDICTS)
def test_the_card_is_small_and_has_no_script(name):
    """Whatever is in it."""
    page = gate_words.card(VERDICTS[name])
    assert "<script" not in page
    assert len(page.encode("utf-8", "surrogatepass")) < 100_000


def test_annotations_are_one_line_each():
    """GitHub ends a command at a line break and reads percent signs; the outcome gives its colour."""
    (line,) = gate_words.workflow_commands(a_verdict(reasons=("50 % of\nall",)))
    assert line == "::error title=harness gate ticket-triage::50 %25 of%0Aall"
    levels = {name: gate_words.workflow_commands(one)[0].split()[0] for name, one in VERDICTS.items()}
    assert (levels["passed"], levels["unclear"], levels["stale"]) == ("::notice", "::warning", "::error")


def test_a_gate_without_a_verdict_keeps_schema_and_comment():
    """An error's text is somebody's data as well: hostile, and as long as a spec has faults."""
    fault = gate_faults.GateFault(HOSTILE, "SpecError", "\n".join([HOSTILE] * 30), 2)
    root = etree.fromstring(gate_faults.junit_text(fault).encode())
    SCHEMA.assertValid(root)
    assert (root.get("tests"), root.get("errors")) == ("1", "1")
    page = gate_faults.markdown(fault)
    assert page.splitlines()[0].count("-->") == 1
    assert "<script" not in page
    assert "[x](" not in page
    assert page.count("alert") == gate_faults.MOST_LINES + 2  # the marker and the title have one each
    assert "and 10 more" in page
    assert len(gate_faults.workflow_command(fault).splitlines()) == 1


def test_the_terminal_names_the_samples_that_moved():
    """Below the line that counts them, as many as it says."""
    lines = gate_words.text(a_verdict()).splitlines()
    place = lines.index("Flips        20 samples dropped and 0 gained in accuracy")
    assert [line.strip() for line in lines[place + 1 : place + 21]] == [
        f"s{number}: 1 to 0" for number in range(10, 30)
    ]
