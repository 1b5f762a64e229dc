"""How figures are shown to people: the one place that turns numbers into text.

In: figures and the records that carry them; money in US dollars, time in seconds, shares from 0 to 1.
Out: short plain text, without markup. Must not compute a figure.
An unknown figure is always "unknown" or "not measured", never zero and never "free".
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from harness.records import Bounds, Estimate, JsonValue, Settings, is_sided

UNKNOWN = "unknown"
NOT_MEASURED = "not measured"
# Narrow no-break space: groups digits in every language and never breaks a figure over two lines.
THIN = "\u202f"
SMALLEST_USD = 1e-6
LONGEST_SETTING = 200
LONGEST_VALUE = 60  # of a slice


def quality(estimate: Estimate | None) -> str:
    """A quality with its interval and n, as in "0.84 [0.76, 0.90], n=84"."""
    if estimate is None:
        return NOT_MEASURED
    return f"{quality_short(estimate)}, n={count(estimate.n)}"


def quality_short(estimate: Estimate | None) -> str:
    """As `quality`, without n: for tables that have a column of their own for it."""
    if estimate is None:
        return NOT_MEASURED
    digits = _digits(estimate.high - estimate.low)
    value, low, high = (_fixed(x, digits) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def difference(estimate: Estimate | None) -> str:
    """A difference of two qualities in points of a hundred, as in "+3.1 points [-1.0, +7.2]"."""
    if estimate is None:
        return NOT_MEASURED
    digits = _digits(estimate.high - estimate.low) - 1
    value, low, high = (_signed(100 * x, digits) for x in (estimate.value, estimate.low, estimate.high))
    return f"{value} points [{low}, {high}]"


def level(estimate: Estimate) -> str:
    """What the interval is called, as in "95% interval"."""
    return f"{share(estimate.level)} interval"


def money(usd: float | None) -> str:
    """An amount that was paid or may be: "$0.0012", "$1.23", "$1 204"; `None` is "unknown"."""
    if usd is None:
        return UNKNOWN
    sign, size = ("-", -usd) if usd < 0 else ("", usd)
    if 0 < size < SMALLEST_USD:
        return f"{sign}<${SMALLEST_USD:.6f}"
    if size == 0 or size >= 0.095:
        whole = size >= 999.995
        return f"{sign}${size:,.{0 if whole else 2}f}".replace(",", THIN)
    # Two significant digits, and never fewer than whole cents.
    decimals = 1 - math.floor(math.log10(size))
    text = f"{size:.{decimals}f}".rstrip("0")
    return f"{sign}${text.ljust(len('0.00'), '0')}"


def price(usd: float | None) -> str:
    """A list price: as `money`, but a price known to be zero is "free"."""
    return "free" if usd == 0 else money(usd)


def price_phrase(usd_per_1k_calls: float | None) -> str:
    """A price inside a sentence: "$0.12 per 1,000 calls", "free", or "price unknown"."""
    if usd_per_1k_calls is None:
        return "price unknown"
    return "free" if usd_per_1k_calls == 0 else f"{money(usd_per_1k_calls)} per 1,000 calls"


def seconds(duration: float | None) -> str:
    """A duration: "12 ms", "0.43 s", "12.3 s", "3 min 20 s", "1 h 05 min"; `None` is "unknown"."""
    if duration is None:
        return UNKNOWN
    if duration < 0.0995:
        return "<1 ms" if 0 < duration <= 0.0005 else f"{1000 * duration:.0f} ms"
    if duration < 99.95:
        return f"{duration:.{2 if duration < 9.995 else 1}f} s"
    whole = round(duration)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(duration / 60)
    return f"{count(minutes // 60)} h {minutes % 60:02d} min"


def between(show: Callable[[float | None], str], value: float | None, bounds: Bounds | None) -> str:
    """A figure with its bounds, as in "$0.12 [$0.11, $0.14]"; without them where there are none.

    Free is free: what was never paid for has no bounds that say more.
    """
    if value is None or bounds is None or bounds.low is None or bounds.high is None:
        return show(value)
    if value == bounds.low == bounds.high == 0:
        return show(value)
    return f"{show(value)} [{show(bounds.low)}, {show(bounds.high)}]"


def most(part: float) -> str:
    """An upper bound of a share, in percent, never below it: 0.00541 is "0.6%"."""
    return share(min(1.0, math.ceil(1000 * part - 1e-9) / 1000))


def share(part: float | None) -> str:
    """A share from 0 to 1 in percent: "0%", "2.5%", "100%"; a trace is "<0.1%", nearly all ">99.9%"."""
    if part is None:
        return UNKNOWN
    if 0 < part < 0.0005:
        return "<0.1%"
    if 0.9995 <= part < 1:
        return ">99.9%"
    return f"{100 * part:.1f}".removesuffix(".0") + "%"


def count(number: int) -> str:
    """A whole number with narrow spaces between its thousands."""
    return f"{number:,}".replace(",", THIN)


def counted(number: int, noun: str) -> str:
    """A number with its noun, as in "1 call" and "2 calls"."""
    return f"{count(number)} {noun}" if number == 1 else f"{count(number)} {noun}s"


def size(in_bytes: int) -> str:
    """A size on disk: "812 bytes", "4.1 kB", "98 MB", "2.0 GB", in powers of a thousand."""
    amount, unit = float(in_bytes), "byte" if in_bytes == 1 else "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(amount) < 1000:
            break
        amount, unit = amount / 1000, larger
    small = amount < 9.95 and not unit.startswith("byte")
    return f"{amount:.{1 if small else 0}f} {unit}"


def setting(value: JsonValue) -> str:
    """The value of one setting: text as it is, everything else as JSON; six digits at most.

    Of a value by side, that of queries with that of documents behind it.
    """
    if is_sided(value) and isinstance(value, dict):
        return f"{setting(value['query'])} (documents {setting(value['document'])})"
    if isinstance(value, str):
        return clipped(value, LONGEST_SETTING)
    if isinstance(value, float) and math.isfinite(value):
        text = f"{value:.6g}"
        return text if "." in text or "e" in text else f"{text}.0"
    return clipped(json.dumps(value, ensure_ascii=False), LONGEST_SETTING)


def setting_lines(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Every setting, sent ones before local ones, in the order of the record: name in words, and value."""
    named: dict[str, JsonValue] = {"model": settings.model, "prompt": settings.prompt}
    named |= settings.held()
    return tuple((_words(name, settings), setting(value)) for name, value in named.items())


def settings_line(settings: Settings) -> str:
    """All settings in one line: "openai/gpt-4.1-mini, prompt plain, temperature 0.2"."""
    return ", ".join((settings.model, *_after_model(settings)))


def parameters_line(settings: Settings) -> str:
    """As `settings_line`, without the model: "prompt plain, temperature 0.2"."""
    return ", ".join(_after_model(settings))


def clipped(text: str, longest: int) -> str:
    """The text, cut to at most this many characters; a cut is shown by an ellipsis inside that length."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def ends(text: str, longest: int = LONGEST_VALUE) -> str:
    """Both ends of a text, at most this many characters: what has a common beginning can be told apart."""
    if len(text) <= longest:
        return text
    last = longest // 2
    return f"{text[: longest - 1 - last]}…{text[-last:]}"


def _after_model(settings: Settings) -> list[str]:
    return [f"{name} {value}" for name, value in setting_lines(settings)[1:]]


def _words(name: str, settings: Settings) -> str:
    # A custom parameter keeps its own spelling: it is somebody else's word.
    return clipped(name, LONGEST_SETTING) if name in settings.extra else name.replace("_", " ")


def _digits(width: float) -> int:
    """Decimals of a share: two, and more only where the interval is too narrow for two to show it."""
    if width >= 0.02 or width <= 0:
        return 2
    return 3 if width >= 0.002 else 4


def _fixed(number: float, digits: int) -> str:
    return f"{round(number, digits) + 0.0:.{digits}f}"


def _signed(number: float, digits: int) -> str:
    # Adding zero turns the "-0.0" of a rounded negative into "+0.0".
    return f"{round(number, digits) + 0.0:+.{digits}f}"
