"""What a report says of vectors and of the threshold of a cache, and how it draws them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from harness.insights import CachePoint, CacheReport, Reference
from harness.outputs.cache_picture import cache_picture
from harness.outputs.embeddings import cache_line, embedding_data
from harness.outputs.mlflow_pages import trial_pages
from harness.outputs.report import html, markdown
from harness.outputs.verdict import verdict
from harness.testing.builders import a_run_record, a_settings, a_trial, an_estimate

FACTS = {"dimensions": 384.0, "bytes_per_vector": 1536.0, "usd_per_million_tokens": 0.02}


def a_space(number, quality, **changes):
    """A finalist of an embedding task."""
    settings = a_settings(model="openai/text-embedding-3-small", local={"chunk_tokens": 64 * (number + 1)})
    told = {"facts": FACTS, "metrics": {"recall@1": 0.5}, "model_class": "EMBEDDING", "split": "confirm"}
    return a_trial(number, quality=quality, settings=settings, **(told | changes))


def a_point(cosine, hits, false, name=""):
    """A point of a curve."""
    return CachePoint(
        cosine=cosine,
        hit_rate=hits,
        false_hit_rate=false,
        wrong_share=false / (hits + false) if hits + false else None,
        saved_usd_per_1k=2 * hits,
        name=name,
    )


def a_cache(**changes):
    """A threshold with its curve."""
    held = {
        "trial": 0,
        "split": "search",
        "threshold": 0.72,
        "limit": 0.01,
        "of": "different",
        "level": 0.95,
        "hits": 40,
        "false": 0,
        "different": 400,
        "same": 100,
        "high": 0.0075,
        "curve": (a_point(0.99, 0.1, 0.0), a_point(0.72, 0.4, 0.0), a_point(0.5, 0.9, 0.2)),
        "landmarks": (a_point(0.72, 0.4, 0.0, "chosen"), a_point(0.85, 0.3, 0.0, "0.85 as a cosine")),
    }
    return CacheReport(**(held | changes))


def a_record(**changes):
    """A run of two spaces and a reference."""
    reference = Reference(name="TF-IDF", split="confirm", quality=an_estimate(0.3), metrics={"recall@1": 0.2})
    held = {
        "metric": "ndcg@10",
        "finalists": (a_space(0, 0.6), a_space(1, 0.8)),
        "references": (reference,),
        "recommendation": None,
    }
    return a_run_record(**(held | changes))


def test_a_run_of_models_that_write_has_no_section():
    """Nothing is said of vectors where there are none."""
    assert embedding_data(a_run_record()) is None


def test_spaces_stand_best_first_and_the_reference_last():
    """The table ranks by quality, shows storage and price, and ends with what needs no model."""
    data = embedding_data(a_record())
    assert data is not None
    assert [line.number for line in data.spaces] == [1, 0, None]
    assert (data.spaces[0].dimensions, data.spaces[0].stored, data.spaces[0].per_million) == (
        "384",
        "1.5 kB",
        "$0.02",
    )
    assert data.beside == ("recall@1",)
    assert data.spaces[2].beside == ("0.20",)


def test_the_guarantee_is_a_sentence_and_its_check_another():
    """What is guaranteed, what was seen, and what the confirm pairs show of it."""
    confirmed = a_cache(split="confirm", false=1, different=150, high=0.031, verdict="unclear")
    data = embedding_data(a_record(caches=(a_cache(), confirmed)))
    assert data is not None
    searched, held = data.caches
    assert searched.sentence == (
        "A cosine of 0.7200 was chosen on these pairs so that at most 1% of different texts hit, with 95% "
        "confidence if the pairs are independent."
    )
    seen, assumed = searched.checks
    assert seen == "Seen on the search split: 0 of 400, with 95% confidence at most 0.8%."
    assert assumed.startswith("Saved takes 20% of requests to have a stored text of the same intent")
    assert "To be confirmed" in held.sentence
    broken = embedding_data(a_record(caches=(a_cache(split="all", verdict="broken"),)))
    assert broken is not None
    assert (
        broken.caches[0].sentence
        == "A cosine of 0.7200 is too low: the limit is at most 1% of different texts hit."
    )
    kept = embedding_data(a_record(caches=(a_cache(split="confirm", verdict="kept"),)))
    assert kept is not None
    assert kept.caches[0].sentence == (
        "From a cosine of 0.7200 up, at most 1% of different texts hit, with 95% confidence."
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"allowed": 1, "needed": 473},
            (
                "1 of 310 does not show a limit of 1% with 95% confidence (at most 1 would); these pairs do "
                "show 1.6%. Leave the cache off until it is settled: at the share seen it takes some 473 "
                "different pairs on the confirm split; label more, or raise aim.confirm."
            ),
        ),
        ({"allowed": None, "needed": 473}, "(even none would not)"),
        ({"needed": None}, "choose the threshold anew on more pairs"),
    ],
)
def test_not_confirmed_says_what_it_means_and_what_to_do(changes, told):
    """How many would have shown it, which limit is shown, and how many pairs it takes."""
    held = {"split": "confirm", "false": 1, "different": 310, "high": 0.0152, "verdict": "unclear"}
    data = embedding_data(a_record(caches=(a_cache(**(held | changes)),)))
    assert data is not None
    assert data.caches[0].checks[1].startswith("NOT CONFIRMED, nor refuted: ")
    assert told in data.caches[0].checks[1]


def test_a_broken_threshold_is_not_to_be_shipped():
    """Where the confirm pairs refute the guarantee, the report says so in capitals."""
    broken = a_cache(split="confirm", verdict="broken", false=20, different=150)
    data = embedding_data(a_record(caches=(broken,)))
    assert data is not None
    assert "BROKEN" in data.caches[0].checks[1]


def test_the_headline_names_false_hits_and_their_limit():
    """The verdict says beside the hits what was seen of false ones, and the limit."""
    chosen = a_space(0, 0.6)
    found = a_run_record().recommendation
    assert found is not None
    record = a_record(
        finalists=(chosen,),
        recommendation=replace(found, trial=chosen, settings=chosen.settings),
        caches=(a_cache(), a_cache(split="confirm", false=1, different=180, high=0.026, verdict="unclear")),
    )
    assert (
        "; 1 of 180 of different texts hit, at most 2.6% with 95% confidence on the confirm split, limit 1%: "
        "not confirmed"
    ) in verdict(record)
    grouped = replace(record, caches=(a_cache(split="confirm", different=552, high=0.00541, groups=18),))
    assert (
        "0 of 552 of different texts hit, at most 0.6% with 95% confidence on the confirm split "
        "(counting pairs of 18 groups as independent), limit 1%"
    ) in verdict(grouped)
    off = replace(record, caches=(a_cache(threshold=None, why="40 pairs are too few"),))
    assert cache_line(off) == "cache off: 40 pairs are too few"
    assert cache_line(a_record()) == ""
    assert verdict(off) == "Leave the cache off: no threshold is recommended; 40 pairs are too few."


def test_without_a_threshold_the_reason_stands_in_its_place():
    """A cache that stays off says why, and how many pairs it takes."""
    data = embedding_data(a_record(caches=(a_cache(threshold=None, why="40 pairs are too few"),)))
    assert data is not None
    assert "40 pairs are too few" in data.caches[0].sentence
    assert not any("Seen" in check for check in data.caches[0].checks)


def test_the_picture_holds_both_curves_and_every_threshold():
    """Hits and false hits over all thresholds, an upright for each landmark, and the same in words."""
    picture = cache_picture(a_record(caches=(a_cache(),)))
    assert picture is not None
    assert [line.colour for line in picture.lines] == ["complete", "failed", "chosen"]
    assert picture.legend[2].label == "saved / 1k requests, 100%: $1.80"
    assert [(one.text, one.ours) for one in picture.uprights] == [
        ("chosen: 0.7200", True),
        ("0.85 as a cosine: 0.8500", False),
    ]
    assert "0.85 as a cosine (0.8500): 30% of same" in picture.alt


def test_a_share_holds_down_to_the_next_pair():
    """Between two cosines hit those at or above the higher one: a step goes left first, then up."""
    curve = (a_point(0.9, 0.2, 0.0), a_point(0.6, 0.7, 0.1))
    picture = cache_picture(a_record(caches=(a_cache(curve=curve),)))
    assert picture is not None
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+", picture.lines[0].path)


def test_a_curve_ends_at_the_left_end_of_the_axis():
    """What hits below the lowest cosine shown is not drawn upon the edge; the last share goes on to it."""
    curve = (a_point(0.9, 0.2, 0.0), a_point(0.6, 0.7, 0.1), a_point(0.1, 1.0, 1.0))
    picture = cache_picture(a_record(caches=(a_cache(curve=curve),)))
    assert picture is not None
    assert re.fullmatch(rf"M[\d.]+ [\d.]+H[\d.]+V[\d.]+H{picture.left}", picture.lines[1].path)


def test_money_is_drawn_only_where_an_answer_has_a_price():
    """Without usd_per_answer there are two curves."""
    curve = tuple(replace(a_point(at, 0.5, 0.0), saved_usd_per_1k=None) for at in (0.9, 0.6))
    picture = cache_picture(a_record(caches=(a_cache(curve=curve),)))
    assert picture is not None
    assert len(picture.lines) == len(picture.legend) == 2


def test_without_pairs_there_is_no_picture():
    """A retrieval has no threshold to draw."""
    assert cache_picture(a_record()) is None


def test_page_and_short_form_show_the_section():
    """Both name the reference and the threshold."""
    record = a_record(caches=(a_cache(),))
    for text in (html(record), markdown(record)):
        assert "TF-IDF (word counts, no model)" in text
        assert "0.7200" in text


def test_names_of_metrics_are_those_that_mlflow_takes():
    """An @ is no character of an MLflow metric; dimensions and storage are metrics as well."""
    record = a_record(trials=(a_space(0, 0.6), a_space(1, 0.8)))
    logged = {name for page in trial_pages(record, "parent") for name in page.metrics}
    assert not any("@" in name for name in logged)
    assert any("bytes_per_vector" in name for name in logged)


@pytest.mark.parametrize("kind", ["different", "hits"])
def test_either_share_has_its_words(kind):
    """The limit is told as a share of what it is a share of."""
    data = embedding_data(a_record(caches=(a_cache(of=kind),)))
    assert data is not None
    assert {"different": "of different texts hit", "hits": "of hits are wrong"}[kind] in data.caches[
        0
    ].sentence
