"""Valid records of what a run says beyond its trials; `builders` has those of calls and trials.

In: the fields that a test is about, as keywords. Out: a record whose other fields are plausible and fixed.
It must not draw anything at random or read the clock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from harness.cards import TaskCard
from harness.findings import ProviderChampion
from harness.insights import CachePoint, CacheReport, Reference, SettingEffect, SettingLevel, Unscored
from harness.sheets import Basis, Sheet
from harness.testing.builders import a_data_card, a_settings, a_trial, an_estimate


def a_provider_champion(**changes: Any) -> ProviderChampion:
    """The best of OpenAI's, confirmed, and the choice itself."""
    champion = ProviderChampion(provider="openai", trial=a_trial(2, split="confirm"), versus=None)
    return replace(champion, **changes)


def a_task_card(**changes: Any) -> TaskCard:
    """One of several tasks, of a quarter of the weight."""
    card = TaskCard(
        name="triage", weight=0.25, metric="accuracy", n_search=40, n_confirm=20, data=a_data_card()
    )
    return replace(card, **changes)


def an_unscored(**changes: Any) -> Unscored:
    """A judge that gave no verdict on 3 of 120 answers."""
    reasons = {"the judge's call failed": 2, "no verdict was found": 1}
    made = Unscored(scorer="correctness", decides=False, answers=3, of=120, reasons=reasons)
    return replace(made, **changes)


def a_setting_level(**changes: Any) -> SettingLevel:
    """8 trials with a temperature of up to 0.3."""
    return replace(SettingLevel(value=0.0, trials=8, quality=an_estimate(n=8), upto=0.3), **changes)


def a_setting_effect(**changes: Any) -> SettingEffect:
    """What the temperature did over two levels, by one method that says how much it matters."""
    high = a_setting_level(value=0.3, upto=1.0, quality=an_estimate(0.7, n=8))
    effect = SettingEffect(name="temperature", levels=(a_setting_level(), high), importance={"fANOVA": 0.6})
    return replace(effect, **changes)


def a_reference(**changes: Any) -> Reference:
    """TF-IDF on the confirm split."""
    reference = Reference(name="TF-IDF", split="confirm", quality=an_estimate(0.4), metrics={"recall@1": 0.2})
    return replace(reference, **changes)


def a_cache_point(**changes: Any) -> CachePoint:
    """A threshold at which 60 of 100 of the same and 2 of 400 of the different pairs hit."""
    point = CachePoint(
        cosine=0.9, hit_rate=0.6, false_hit_rate=0.005, wrong_share=0.032, saved_usd_per_1k=0.3
    )
    return replace(point, **changes)


def a_cache_report(**changes: Any) -> CacheReport:
    """A threshold that 400 different pairs of the confirm split hold to its limit."""
    report = CacheReport(
        trial=2,
        split="confirm",
        threshold=0.9,
        limit=0.02,
        of="different",
        level=0.95,
        hits=62,
        false=2,
        different=400,
        same=100,
        high=0.0157,
        verdict="kept",
        curve=(a_cache_point(),),
        landmarks=(a_cache_point(cosine=0.85, name="0.85"),),
    )
    return replace(report, **changes)


def a_basis(**changes: Any) -> Basis:
    """What scores rest on: rows, one scorer, a prompt and two prices."""
    basis = Basis(
        data="d" * 64,
        scoring="s" * 64,
        scorers={"exact": 1},
        prompt="p" * 64,
        prices={"input": 0.15, "output": 0.6},
    )
    return replace(basis, **changes)


def a_sheet(**changes: Any) -> Sheet:
    """Two samples, one of them right."""
    sheet = Sheet(
        trial=2,
        settings=a_settings(),
        split="confirm",
        samples=("s1", "s2"),
        scores={"accuracy": (1.0, 0.0)},
        usd=(0.0001, 0.0001),
        latency_s=(0.5, 0.6),
        basis=a_basis(),
    )
    return replace(sheet, **changes)
