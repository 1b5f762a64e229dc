"""Verdicts on two sheets of scores: worse, same, better, unclear; and what stands beside them."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.advice.compare import Question, compare
from harness.errors import InconclusiveError, UsageError
from harness.plan.resolution import more_samples
from harness.stats.power import pairs_needed
from harness.testing.sheets import a_sheet, a_side

N = 200


def right(first_wrong, n=N):
    """Scores of which the first so many are 0."""
    return tuple(float(place >= first_wrong) for place in range(n))


def sides(base, new, **fields):
    """Two sides with these columns of accuracy, on the same samples, under different temperatures."""
    made = [
        a_side(a_sheet(scores={"accuracy": scores}, **fields), name=name)
        for name, scores in (("base", base), ("new", new))
    ]
    hotter = replace(made[1].sheet, settings=replace(made[1].settings, temperature=0.9))
    return made[0], replace(made[1], sheet=hotter)


def verdict(base, new, **question):
    """The verdict on these two columns."""
    return compare(*sides(base, new), Question(**question)).verdict


def test_a_drop_beyond_doubt_is_worse():
    """40 of 200 samples lost, and the tolerance is a point."""
    found = compare(*sides(right(10), right(50)), Question())
    assert found.verdict == "worse"
    assert found.difference.value == pytest.approx(-0.2)
    assert found.difference.high < -0.01
    assert found.reason.startswith(
        "accuracy went from 0.950 to 0.750 (-20.0 points): with 95% confidence a drop"
    )


def test_a_gain_beyond_doubt_is_better():
    """The same the other way round."""
    assert verdict(right(50), right(10)) == "better"


def test_a_drop_within_the_tolerance_is_the_same():
    """A loss of four points is shown, and is less than the ten that matter."""
    found = compare(*sides(right(20), right(28)), Question(tolerance=0.1))
    assert found.verdict == "same"
    assert "a drop, but with 95% confidence of at most" in found.reason


def test_few_samples_decide_nothing_and_say_what_would():
    """One sample lost of 30: anything may be true."""
    found = compare(*sides(right(3, 30), right(4, 30)), Question(tolerance=0.02))
    assert found.verdict == "unclear"
    assert found.quality.more is not None
    assert f"about {found.quality.more} more samples would settle it" in found.reason


def test_equal_scores_of_different_settings_are_still_a_sample():
    """No disagreement on 60 samples leaves room for a point; none on 2,000 does not."""
    assert verdict(right(5, 60), right(5, 60)) == "unclear"
    assert verdict(right(5, 2000), right(5, 2000)) == "same"


def test_the_same_question_with_the_same_scores_has_not_changed():
    """Nothing random is left between the two."""
    base, _ = sides(right(5, 30), right(5, 30))
    found = compare(base, replace(base, name="again"), Question())
    assert (found.verdict, found.identical) == ("same", True)


def test_one_worse_metric_of_many_suffices():
    """The quality is the same, politeness is not."""
    base, new = sides(right(0, 2000), right(0, 2000))
    polite = {"accuracy": right(0, 2000), "polite": right(100, 2000)}
    rude = {"accuracy": right(0, 2000), "polite": right(400, 2000)}
    found = compare(
        replace(base, sheet=replace(base.sheet, scores=polite)),
        replace(new, sheet=replace(new.sheet, scores=rude)),
        Question(),
    )
    assert [one.verdict for one in found.metrics] == ["same", "worse"]
    assert found.verdict == "worse"
    assert found.reason.startswith("polite went from")


def test_many_metrics_share_the_error():
    """A drop that is worse by itself is unclear among four metrics: Holm multiplies its p-value by four."""
    base, new = right(20), right(27)
    alone = compare(*sides(base, new), Question())
    assert alone.verdict == "worse"
    names = ("accuracy", "b", "c", "d")
    one, other = sides(base, new)
    among = compare(
        replace(one, sheet=replace(one.sheet, scores=dict.fromkeys(names, base))),
        replace(other, sheet=replace(other.sheet, scores={**dict.fromkeys(names, base), "accuracy": new})),
        Question(),
    )
    assert among.quality.worse_p == pytest.approx(4 * alone.quality.worse_p)
    assert among.quality.verdict != "worse"


def test_tolerances_are_by_metric():
    """And the interval says no more than the verdict does."""
    found = compare(*sides(right(20), right(30)), Question(tolerances={"accuracy": 0.2}))
    assert (found.tolerance, found.verdict) == (0.2, "same")
    assert found.difference.low > -0.2


def test_samples_are_paired_by_id_and_those_of_one_side_are_counted():
    """Order does not matter; what is missing is a note."""
    base, new = sides(right(20), right(60))
    order = np.random.default_rng(1).permutation(N)[:150]
    some = replace(
        new.sheet,
        samples=tuple(new.sheet.samples[place] for place in order),
        scores={"accuracy": tuple(new.sheet.scores["accuracy"][place] for place in order)},
        usd=tuple(new.sheet.usd[place] for place in order),
        latency_s=tuple(new.sheet.latency_s[place] for place in order),
    )
    found = compare(base, replace(new, sheet=some), Question())
    lost = sum(20 <= place < 60 for place in order)
    assert (found.n_pairs, len(found.flips)) == (150, lost)
    assert "50 samples are not in both, and left out" in found.notes


def test_flips_stand_worst_first():
    """Drops by their size, then gains."""
    found = compare(*sides((1.0, 0.9, 0.5, 0.2), (0.0, 0.8, 0.5, 0.9)), Question())
    assert [flip.sample_id for flip in found.flips] == ["s0", "s1", "s3"]


def test_unscored_samples_make_no_pair():
    """Neither side counts what one of them lacks."""
    found = compare(*sides((1.0, None, 1.0, 1.0), (1.0, 1.0, None, 0.0)), Question())
    assert found.n_pairs == 2


def test_samples_of_one_group_are_one_piece_of_evidence():
    """Clusters widen the interval."""
    rng = np.random.default_rng(3)
    base = tuple(np.repeat(rng.integers(0, 2, 50), 4).astype(float).tolist())
    new = tuple(np.repeat(rng.integers(0, 2, 50), 4).astype(float).tolist())
    alone = compare(*sides(base, new), Question()).difference
    groups = tuple(f"g{place // 4}" for place in range(N))
    grouped = compare(*sides(base, new, groups=groups), Question()).difference
    assert grouped.clusters == 50
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_slices_hold_all_together():
    """One interval each, wider than that of the whole; the lost samples are all in one of them."""
    language = tuple("de" if place < 100 else "en" for place in range(N))
    found = compare(*sides(right(0), right(30), slices={"language": language}), Question())
    german, english = found.slices
    assert (german.value, german.n_pairs, english.value) == ("de", 100, "en")
    assert german.difference.high < 0
    assert german.difference.level == pytest.approx(0.975)
    assert english.difference.low <= 0 <= english.difference.high


WEIGHTS = {"chat": 0.8, "code": 0.2}


def of_tasks(chat_wrong, code_wrong, sizes=(40, 160)):
    """Scores and sample ids of two tasks: few samples of the one that counts most."""
    scores = (*right(chat_wrong, sizes[0]), *right(code_wrong, sizes[1]))
    names = (*(f"chat/{n}" for n in range(sizes[0])), *(f"code/{n}" for n in range(sizes[1])))
    return scores, names


def by_weight(base_wrong, new_wrong, **question):
    """Two runs of both tasks, compared."""
    (base, names), (new, _) = of_tasks(*base_wrong), of_tasks(*new_wrong)
    return compare(*sides(base, new, samples=names, weights=WEIGHTS), Question(**question))


def test_tasks_count_by_their_weights_not_by_their_samples():
    """By hand: 20 of 40 lost at 80 %, 40 of 160 gained at 20 %: not ten points gained, but 35 lost."""
    found = by_weight((0, 40), (20, 0))
    assert found.quality.base == pytest.approx(0.8 * 1 + 0.2 * 0.75)
    assert found.difference.value == pytest.approx(0.8 * -0.5 + 0.2 * 0.25)
    assert found.verdict == "worse"
    assert "(-35.0 points; chat -50.0 at 80%; code +25.0 at 20%)" in found.reason
    assert [(one.name, one.weight, one.n_pairs) for one in found.tasks] == [
        ("chat", 0.8, 40),
        ("code", 0.2, 160),
    ]
    assert [one.difference.level for one in found.tasks] == pytest.approx([0.975, 0.975])


def test_what_would_settle_tasks_by_weight_is_counted_by_weight():
    """By hand: variances by task over their sizes, with squared weights, as of one sample in 200."""
    found = by_weight((0, 16), (2, 16), tolerance=0.02)
    assert found.verdict == "unclear"
    spread = math.sqrt(200) * 0.8 * np.std([1.0] * 2 + [0.0] * 38, ddof=1) / math.sqrt(40)
    needed = pairs_needed(0.8 * 0.05 - 0.02, spread, 0.95, 0.8)
    assert found.quality.more == needed - 200


def test_weights_of_a_file_stand_in_where_a_run_has_none():
    """A run of an older version knows of no weights, its baseline does."""
    (base, names), (new, _) = of_tasks(0, 40), of_tasks(20, 0)
    one, other = sides(base, new, samples=names)
    weighted = replace(one, sheet=replace(one.sheet, weights=WEIGHTS))
    assert compare(weighted, other, Question()).difference.value == pytest.approx(-0.35)


def test_a_task_without_common_samples_is_named():
    """The rest of the quality does not stand for it."""
    (base, names), (new, _) = of_tasks(0, 4), of_tasks(2, 0)
    one, other = sides(base, new, samples=names, weights=WEIGHTS)
    gone = tuple(name.replace("chat/", "chat/new-") for name in names)
    with pytest.raises(InconclusiveError, match="0 independent samples of task 'chat' with accuracy"):
        compare(one, replace(other, sheet=replace(other.sheet, samples=gone)), Question())


def test_clusters_within_tasks_are_kept():
    """Four questions on one text, in each task."""
    (base, names), (new, _) = of_tasks(0, 40), of_tasks(6, 50)
    groups = tuple(f"{name.partition('/')[0]}-{place // 4}" for place, name in enumerate(names))
    alone = compare(*sides(base, new, samples=names, weights=WEIGHTS), Question()).difference
    grouped = compare(*sides(base, new, samples=names, weights=WEIGHTS, groups=groups), Question()).difference
    assert grouped.clusters == 50
    assert grouped.high - grouped.low > 1.3 * (alone.high - alone.low)


def test_price_and_latency_are_paired_too():
    """A price that doubled, and answers that take half as long again."""
    base, new = sides(right(5), right(5))
    rng = np.random.default_rng(4)
    usd, latency_s = rng.uniform(1e-5, 3e-5, N), rng.lognormal(-1, 0.4, N)
    noise = rng.lognormal(0, 0.05, N)
    base = replace(base, sheet=replace(base.sheet, usd=tuple(usd), latency_s=tuple(latency_s)))
    slower = replace(new.sheet, usd=tuple(2 * usd), latency_s=tuple(1.5 * noise * latency_s))
    found = compare(base, replace(new, sheet=slower), Question())
    assert found.price.change.value == pytest.approx(1000 * usd.mean())
    assert found.price.change.low < 1000 * usd.mean() < found.price.change.high
    assert found.latency.change.low < 1.5 < found.latency.change.high
    assert found.latency.change.value == pytest.approx(1.5, abs=0.03)


def test_what_is_not_known_is_not_compared():
    """A baseline file has no price of single samples."""
    base, new = sides(right(5), right(5))
    nothing = replace(base.sheet, usd=(None,) * N, latency_s=(None,) * N)
    found = compare(replace(base, sheet=nothing), new, Question())
    assert (found.price, found.latency) == (None, None)


def test_other_data_and_other_scoring_are_notes():
    """A comparison goes on; a gate would not."""
    base, new = sides(right(5), right(5))
    other = replace(new.sheet.basis, data="f" * 64, scorers={"choice": 2}, prices={"input": 9.0})
    found = compare(base, replace(new, sheet=replace(new.sheet, basis=other)), Question())
    assert len(found.notes) == 3


def test_too_few_common_samples_are_inconclusive():
    """With both names."""
    base, new = sides((1.0, 0.0), (1.0, 0.0))
    elsewhere = replace(new.sheet, samples=("x", "y"))
    with pytest.raises(InconclusiveError, match="base and new have 0 independent samples with accuracy"):
        compare(base, replace(new, sheet=elsewhere), Question())


def test_an_unknown_metric_is_refused():
    """With what both sides have."""
    with pytest.raises(UsageError, match="brevity is not measured by both: base has accuracy"):
        compare(*sides(right(5), right(5)), Question(metrics=("brevity",)))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alpha": 0.5}, "alpha is 0.5"),
        ({"tolerance": -0.1}, "tolerance is -0.1"),
        ({"tolerances": {"a": 1}}, "a is 1"),
    ],
)
def test_senseless_questions_are_refused(fields, message):
    """An error rate of a half, a negative tolerance, one of everything."""
    with pytest.raises(UsageError, match=message):
        Question(**fields)


def test_samples_without_a_score_are_counted_by_side():
    """What drops out of a comparison is told, one sample as one."""
    columns = [(None, 1.0, 1.0, 0.0, 1.0), (1.0, None, None, 0.0, 1.0)]
    base, new = (
        a_side(a_sheet(scores={"accuracy": column}), name=name)
        for column, name in zip(columns, ("old", "now"), strict=True)
    )
    found = compare(base, new, Question())
    assert found.n_pairs == 2
    assert found.notes == (
        "1 sample has no accuracy in old: left out",
        "2 samples have no accuracy in now: left out",
    )


def test_another_experiment_is_a_note():
    """Its samples may have the same ids by chance alone."""
    base, new = sides(right(20), right(20))
    found = compare(replace(base, experiment="tone-of-voice"), new, Question())
    assert found.notes == ("base is of another experiment, 'tone-of-voice', than 'ticket-triage'",)


def test_one_sample_is_one():
    """The number that would settle an unclear verdict has a noun that agrees."""
    assert [more_samples(number) for number in (1, 40)] == ["about 1 more sample", "about 40 more samples"]
