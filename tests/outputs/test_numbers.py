"""Figures as people read them."""

from __future__ import annotations

import pytest

from harness.outputs import numbers
from harness.records import Bounds

THIN = numbers.THIN


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "unknown"),
        (0.0, "$0.00"),
        (1e-9, "<$0.000001"),
        (0.0000012, "$0.0000012"),
        (0.0012, "$0.0012"),
        (0.00999, "$0.01"),
        (0.05, "$0.05"),
        (0.0512, "$0.051"),
        (0.0996, "$0.10"),
        (1.234, "$1.23"),
        (999.994, "$999.99"),
        (999.996, f"$1{THIN}000"),
        (1234567.8, f"$1{THIN}234{THIN}568"),
        (-0.25, "-$0.25"),
    ],
)
def test_money_keeps_the_digits_that_matter(usd, text):
    """Two significant digits below ten cents, whole cents above, whole dollars from a thousand on."""
    assert numbers.money(usd) == text


@pytest.mark.parametrize(("usd", "text"), [(None, "unknown"), (0.0, "free"), (0.12, "$0.12")])
def test_only_a_price_known_to_be_zero_is_free(usd, text):
    """An unknown price is never called free."""
    assert numbers.price(usd) == text


@pytest.mark.parametrize(
    ("usd", "text"), [(None, "price unknown"), (0, "free"), (0.12, "$0.12 per 1,000 calls")]
)
def test_price_phrase_fits_into_a_sentence(usd, text):
    """The phrase says what the price is for."""
    assert numbers.price_phrase(usd) == text


@pytest.mark.parametrize(
    ("in_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (812, "812 bytes"),
        (999, "999 bytes"),
        (1_000, "1.0 kB"),
        (4_096, "4.1 kB"),
        (9_960, "10 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (98_362_432, "98 MB"),
        (2_019_373_888, "2.0 GB"),
        (3_500_000_000_000_000, "3500 TB"),
    ],
)
def test_sizes_are_short(in_bytes, text):
    """Two digits below ten, whole numbers above."""
    assert numbers.size(in_bytes) == text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (None, "unknown"),
        (0.0, "0 ms"),
        (0.0004, "<1 ms"),
        (0.012, "12 ms"),
        (0.0994, "99 ms"),
        (0.0996, "0.10 s"),
        (0.43, "0.43 s"),
        (9.996, "10.0 s"),
        (12.34, "12.3 s"),
        (99.96, "1 min 40 s"),
        (200.2, "3 min 20 s"),
        (3599.7, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_durations_choose_their_unit(duration, text):
    """From milliseconds to hours, without a rounding gap between units."""
    assert numbers.seconds(duration) == text


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (None, "unknown"),
        (0.0, "0%"),
        (0.0001, "<0.1%"),
        (0.025, "2.5%"),
        (0.5, "50%"),
        (0.9996, ">99.9%"),
        (1.0, "100%"),
    ],
)
def test_shares_are_percents(part, text):
    """A trace is not shown as none, nor nearly all as all."""
    assert numbers.share(part) == text


@pytest.mark.parametrize(
    ("number", "text"), [(7, "7"), (1204, f"1{THIN}204"), (1234567, f"1{THIN}234{THIN}567")]
)
def test_counts_have_thin_separators(number, text):
    """Thousands are grouped by a narrow space that does not break."""
    assert numbers.count(number) == text


@pytest.mark.parametrize(("number", "text"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls")])
def test_counted_agrees_with_its_noun(number, text):
    """One call, two calls."""
    assert numbers.counted(number, "call") == text


def test_quality_shows_interval_and_n(make):
    """A quality never stands alone."""
    assert numbers.quality(make.estimate(0.84, 0.76, 0.9)) == "0.84 [0.76, 0.90], n=84"


def test_narrow_interval_gets_more_digits(make):
    """Where two decimals would show an interval without width, there are more."""
    assert (
        numbers.quality(make.estimate(0.9962, 0.9941, 0.9978, n=9000))
        == f"0.996 [0.994, 0.998], n=9{THIN}000"
    )


def test_missing_quality_is_not_a_number():
    """Nothing scored is "not measured", not zero."""
    assert numbers.quality(None) == numbers.quality_short(None) == numbers.difference(None) == "not measured"


@pytest.mark.parametrize(
    ("figures", "text"),
    [
        ((0.031, -0.01, 0.072), "+3.1 points [-1.0, +7.2]"),
        ((-0.0004, -0.1, 0.1), "+0.0 points [-10.0, +10.0]"),
        ((-0.05, -0.08, -0.02), "-5.0 points [-8.0, -2.0]"),
    ],
)
def test_differences_have_sign_and_points(make, figures, text):
    """Always a sign, never a minus before zero."""
    assert numbers.difference(make.estimate(*figures)) == text


def test_level_names_the_interval(make):
    """The confidence stands in percent."""
    assert numbers.level(make.estimate()) == "95% interval"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.30000000000000004, "0.3"),
        (1e-7, "1e-07"),
        (64, "64"),
        (True, "true"),
        ("low", "low"),
        (["\n", "é"], '["\\n", "é"]'),
        ({"a": None}, '{"a": null}'),
    ],
)
def test_setting_values_read_as_they_are_written(value, text):
    """Zero is shown, texts keep their spelling, lists are JSON."""
    assert numbers.setting(value) == text


def test_settings_stand_in_one_line(make):
    """Model, prompt, then what is sent, zero included; custom parameters keep their own spelling."""
    settings = make.settings(
        "local/smollm2", "turns", temperature=0.0, max_output_tokens=64, extra={"top_k": 5}
    )
    line = "local/smollm2, prompt turns, temperature 0.0, max output tokens 64, top_k 5"
    assert numbers.settings_line(settings) == line
    assert numbers.parameters_line(settings) == line.partition(", ")[2]


def test_clipped_text_shows_its_cut():
    """The ellipsis counts as one of the characters allowed."""
    assert numbers.clipped("abcd", 4) == "abcd"
    assert numbers.clipped("abcde", 4) == "abc…"


@pytest.mark.parametrize(
    ("value", "ends", "text"),
    [
        (0.0, (0.0, 0.0), "free"),
        (0.12, (0.11, 0.14), "$0.12 [$0.11, $0.14]"),
        (0.12, (0.11, None), "$0.12"),
    ],
)
def test_a_figure_stands_with_its_bounds_where_they_say_more(value, ends, text):
    """What costs nothing does so for sure."""
    bounds = Bounds(low=ends[0], high=ends[1], level=0.95, n=20, method="paired t")
    assert numbers.between(numbers.price, value, bounds) == text
