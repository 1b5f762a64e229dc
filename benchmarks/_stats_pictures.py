"""The two pictures of docs/explanation/statistics.md, as SVG text. Figures come in; nothing is measured."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH, HEIGHT = 640, 300
INK, BAD, GOOD, LINE = "#333333", "#c0392b", "#1f6f8b", "#cccccc"


def peeking(by_t: Sequence[float], by_bets: Sequence[float]) -> str:
    """Shares of equal pairs called different, from the first look to the last."""
    left, right, top, bottom, most = 60, 500, 50, 250, 0.4

    def y(share: float) -> float:
        return bottom - (bottom - top) * share / most

    def path(shares: Sequence[float]) -> str:
        step = (right - left) / len(shares)
        return " ".join(f"{left + step * (i + 1):.1f},{y(share):.1f}" for i, share in enumerate(shares))

    parts = [_text(left, 28, "Two equal settings: how often one is called worse by now", size=15)]
    for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.4):
        dash = ' stroke-dasharray="5 4"' if share == 0.05 else ""
        parts += [
            f'<line x1="{left}" x2="{right}" y1="{y(share):.1f}" y2="{y(share):.1f}" stroke="{LINE}"{dash}/>',
            _text(left - 8, y(share) + 4, f"{share:.0%}", anchor="end"),
        ]
    for shares, colour, name in ((by_t, BAD, "t test at each look"), (by_bets, GOOD, "bets")):
        parts += [
            f'<polyline points="{path(shares)}" fill="none" stroke="{colour}" stroke-width="2.5"/>',
            _text(right + 8, y(shares[-1]) + 4, f"{name}: {shares[-1]:.0%}", colour=colour),
        ]
    for samples in (0, 100, 200, 300, 400):
        parts.append(_text(left + (right - left) * samples / 400, bottom + 20, f"{samples}", anchor="middle"))
    parts.append(
        _text((left + right) / 2, bottom + 40, "samples seen, with a look after every 5", anchor="middle")
    )
    return _page("Looking often at a test that allows for one look", parts)


def pairing(first: Sequence[float], second: Sequence[float], difference: Sequence[float]) -> str:
    """Low, value and high of two settings and of their difference."""
    left, right = 190, 600

    def bar(row: int, name: str, values: Sequence[float], colour: str, offset: float) -> list[str]:
        low, value, high = (left + (right - left) * (one - offset) / 0.25 for one in values)
        y = 80 + row * 45
        told = f"{values[1] * 100:.0f}  ({values[0] * 100:.1f} to {values[2] * 100:.1f})"
        return [
            _text(left - 15, y + 5, name, anchor="end"),
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="4"/>',
            f'<circle cx="{value:.1f}" cy="{y}" r="6" fill="{colour}"/>',
            _text(value, y - 12, told, anchor="middle", colour=colour),
        ]

    zero = left + (right - left) * 0.05 / 0.25
    parts = [
        _text(30, 28, "300 samples: 30 only A answers rightly, 12 only B", size=15),
        *bar(0, "A, points", first, INK, 0.55),
        *bar(1, "B, points", second, INK, 0.55),
        f'<line x1="{left}" x2="{right}" y1="155" y2="155" stroke="{LINE}"/>',
        *bar(3, "A - B, paired", difference, GOOD, -0.05),
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="170" y2="240" stroke="{BAD}" stroke-dasharray="5 4"/>',
        _text(zero, 262, "no difference", anchor="middle", colour=BAD),
    ]
    return _page("Intervals of two settings overlap, that of their difference leaves out zero", parts)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = INK, size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _page(title: str, parts: Sequence[str]) -> str:
    body = "\n  ".join(
        [f"<title>{title}</title>", '<rect width="100%" height="100%" fill="#ffffff"/>', *parts]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif">\n  {body}\n</svg>\n'
    )
