"""What a plan says of pairs that cannot show the threshold of a cache."""

from __future__ import annotations

import json

import pytest

from harness.plan.planner import make_plan


@pytest.fixture
def notes(tmp_path):
    """The notes of a search over this many different pairs; changes go into the spec's sections."""

    def told(different, *, repeated=False, models=("one",), confirm=0.5, **search):
        rows = [
            {
                "id": f"d{n}",
                "text_a": "where is my parcel" if repeated else f"where is parcel {n}",
                "text_b": f"may I return order {n}",
                "target": "different",
            }
            for n in range(different)
        ]
        rows.append({"id": "s", "text_a": "may I pay", "text_b": "can I pay", "target": "same"})
        (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        stated = {"class": "EMBEDDING", "prices": {"input": 0.1, "output": 0}}
        spec = {
            "experiment": "e",
            "task": {"kind": "semantic_cache", "dataset": "pairs.jsonl", "false_hit_rate": 0.1},
            "search": {"models": [f"mine/{name}" for name in models], **search},
            "providers": {
                "mine": {"api_base": "http://127.0.0.1:9/v1", "models": dict.fromkeys(models, stated)}
            },
            "aim": {"confirm": confirm},
            "budget": {"usd": 1.0},
            "failures": "leave_out",
        }
        return " | ".join(note for note in make_plan(spec, base=tmp_path).notes if "split" in note)

    return told


def test_enough_pairs_of_their_own_texts_are_not_mentioned(notes):
    """29 show a tenth at 95 %; some 120 choose, and 480 leave the check room for error."""
    assert notes(600, confirm=0.8) == ""


def test_a_check_that_will_often_not_confirm_is_told(notes):
    """Some 40 on either split: half of such thresholds are not confirmed, and more pairs there would help."""
    told = notes(80)
    assert (
        "39 different pairs of the confirm split have a chance of 51% to confirm a threshold that 41" in told
    )
    assert told.endswith("write aim.confirm: 0.6 (it is then 64%), or label more pairs")


def test_a_search_split_with_too_few_pairs_is_told(notes):
    """Some 20 on either split: neither shows the limit."""
    told = notes(40)
    assert "takes 29 different pairs on the search split, and there are" in told
    assert "the confirm split cannot show that a threshold keeps false hits at 0.1" in told


def test_a_confirm_split_with_too_few_pairs_is_told(notes):
    """A fifth of 80 pairs confirms nothing, though the others choose."""
    told = notes(80, confirm=0.2)
    assert "no threshold can be shown" not in told
    assert "takes 29 different pairs on the confirm split, and there are" in told


def test_the_more_settings_may_choose_the_more_pairs_it_takes(notes):
    """Of two settings, each has half of the error: 36 pairs, for 0.9^36 is at most 0.025."""
    assert "takes 36 different pairs on the search split for any of 2 settings" in notes(
        66, models=("a", "b")
    )


def test_texts_that_stand_in_both_splits_are_told(notes):
    """A text of the search split that returns on the confirm split confirms little."""
    assert "1 of 42 texts of the confirm split stand in pairs of the search split too" in notes(
        80, repeated=True
    )


def test_a_threshold_that_the_spec_says_is_not_chosen(notes):
    """The search split has nothing to show then; the confirm split still has."""
    told = notes(40, threshold=0.9)
    assert "search split" not in told
    assert "the confirm split cannot show that a threshold keeps false hits at 0.1" in told
