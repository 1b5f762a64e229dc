"""`harness.compare` from Python: results, runs and files; and the scores by sample that it rests on."""

from __future__ import annotations

from typing import Any

import pytest

import harness
from harness.errors import UsageError
from harness.outputs import baseline
from harness.records import Settings

PLAIN = Settings(model="mine/tiny", prompt="plain", temperature=0.25, max_output_tokens=8)
CAREFUL = Settings(model="mine/tiny", prompt="careful", temperature=0.25, max_output_tokens=8)


@pytest.fixture
def spec(desk: Any, answers: Any) -> str:
    """The experiment of the desk, asked at the server."""
    return str(desk.spec(api_base=answers.url))


def test_results_are_compared_as_they_are(spec: str) -> None:
    """Of two evaluations; shown as text and as a card."""
    plain, careful = (harness.evaluate(spec, settings, mlflow=False) for settings in (PLAIN, CAREFUL))
    found = harness.compare(plain, careful)
    assert found.verdict == "better"
    assert repr(found).startswith(f"Better. {found.reason}")
    assert found._repr_html_().count("<table") >= 3
    assert found.markdown().startswith("**Better")


def test_settings_are_measured_on_a_spec(spec: str, answers: Any) -> None:
    """Both, once."""
    found = harness.compare(PLAIN, CAREFUL, spec=spec)
    assert found.comparison.n_pairs == 60
    assert answers.requests == 120
    with pytest.raises(UsageError, match="say on what with a spec"):
        harness.compare(PLAIN, CAREFUL)


def test_a_baseline_file_is_a_side(spec: str, desk: Any) -> None:
    """Written from a result, and compared with that result: nothing changed."""
    from harness.comparing import side_of

    result = harness.evaluate(spec, CAREFUL, mlflow=False)
    path = baseline.write(side_of(result.record), desk.folder / "base.json")
    found = harness.compare(path, result)
    assert (found.verdict, found.comparison.identical) == ("same", True)


def test_scores_by_sample_are_those_of_the_table(spec: str) -> None:
    """The record's sheet says what scores.parquet says, sample by sample, price and seconds included."""
    result = harness.evaluate(spec, PLAIN, mlflow=False)
    (sheet,) = result.record.sheets
    table = result.to_df().set_index("sample_id")
    assert dict(zip(sheet.samples, sheet.scores["accuracy"], strict=True)) == table["value"].to_dict()
    prices = dict(zip(sheet.samples, sheet.usd, strict=True))
    assert prices == pytest.approx(table["price_usd"].to_dict(), rel=1e-5)
    seconds = dict(zip(sheet.samples, sheet.latency_s, strict=True))
    assert seconds == pytest.approx(table["latency_s"].to_dict(), rel=1e-5)


def test_repeats_are_averaged_by_sample(spec: str) -> None:
    """Two answers each make one score from 0 to 1."""
    result = harness.evaluate(spec, PLAIN, mlflow=False, repeat=2, limit=12)
    (sheet,) = result.record.sheets
    means = result.to_df().groupby("sample_id")["value"].mean()
    assert dict(zip(sheet.samples, sheet.scores["accuracy"], strict=True)) == means.to_dict()


@pytest.mark.parametrize(("name", "message"), [("nowhere", "no run 'nowhere'"), ("a:b", "names no trial")])
def test_what_is_not_there_is_told(spec: str, name: str, message: str) -> None:
    """An unknown run, and something that is no number of a trial."""
    with pytest.raises(UsageError, match=message):
        harness.compare(name, name)
