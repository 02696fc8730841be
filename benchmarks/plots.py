"""Plots as small SVG files, without a library. Pure: figures in, text out."""

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from xml.sax.saxutils import escape

from benchmarks.results import Figure, Result, short

WIDTH = 720
_LABEL, _VALUE, _BAR = 250, 90, 18
_OURS, _THEIRS, _INK, _GRID = "#2f6f9f", "#b9b2a3", "#333", "#ddd"
_LINES = ("#2f6f9f", "#c0703a", "#5d8a4a", "#8a5d8a")


def plot(result: Result) -> str:
    """Lines over time if there are any, else bars of all that was measured beside something; "" if nothing was."""
    if result.series:
        return lines(result.series, result.axes)
    compared = [figure for figure in result.figures if figure.ours and any(figure.beside.values())]
    return bars(compared) if compared else ""


def bars(figures: Sequence[Figure]) -> str:
    """For each figure a group of bars, ours first; each group has a scale of its own, since units differ."""
    parts: list[str] = []
    top = 8.0
    for figure in figures:
        parts.append(_text(0, top + 12, f"{figure.what}, {figure.unit}", weight="bold"))
        top += 20
        rounds = {figure.name: figure.ours, **{name: one for name, one in figure.beside.items() if one}}
        longest = max(max(one) for one in rounds.values()) or 1.0
        for name, one in rounds.items():
            parts += _bar(top, name, one, longest, ours=name == figure.name)
            top += _BAR + 6
        top += 12
    return _svg(top, parts)


def _bar(top: float, name: str, rounds: Sequence[float], longest: float, *, ours: bool) -> Iterator[str]:
    room = WIDTH - _LABEL - _VALUE
    middle, least, most = (room * one / longest for one in (median(rounds), min(rounds), max(rounds)))
    colour = _OURS if ours else _THEIRS
    yield _text(_LABEL - 8, top + 13, name, anchor="end")
    yield f'<rect x="{_LABEL}" y="{top:.0f}" width="{max(1.0, middle):.1f}" height="{_BAR}" fill="{colour}"/>'
    y = top + _BAR / 2
    yield f'<path d="M{_LABEL + least:.1f} {y:.1f}H{_LABEL + most:.1f}" stroke="{_INK}" stroke-width="1.5"/>'
    yield _text(_LABEL + max(most, middle) + 6, top + 13, short(median(rounds)))


def lines(series: Mapping[str, Sequence[tuple[float, float]]], axes: tuple[str, str]) -> str:
    """Lines over one axis, from nothing to the highest of them."""
    left, right, top, height = 56.0, 16.0, 16.0, 220.0
    points = [point for line in series.values() for point in line]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    most = _round_up(max(y for _, y in points))
    across = (WIDTH - left - right) / ((last - first) or 1.0)
    parts = []
    for n in range(5):
        y = top + height * n / 4
        parts.append(f'<path d="M{left} {y:.1f}H{WIDTH - right}" stroke="{_GRID}"/>')
        parts.append(_text(left - 6, y + 4, short(most * (4 - n) / 4), anchor="end"))
    for number, (name, line) in enumerate(series.items()):
        colour = _LINES[number % len(_LINES)]
        path = " ".join(
            f"{left + (x - first) * across:.1f},{top + height * (1 - y / most):.1f}" for x, y in line
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(_text(left + 8 + 180 * number, top + height + 40, f"— {name}", fill=colour))
    below = top + height
    parts.append(_text(left, below + 18, short(first)))
    parts.append(_text(WIDTH - right, below + 18, f"{short(last)} {axes[0]}", anchor="end"))
    parts.append(_text(left + 4, top - 4, axes[1]))
    return _svg(below + 52, parts)


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10 … that is not below."""
    if value <= 0:
        return 1.0
    size = 10.0 ** math.floor(math.log10(value))
    return next(step * size for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * size >= value)


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal", fill: str = _INK
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="{fill}">'
        f"{escape(words)}</text>"
    )


def _svg(height: float, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        'font-family="sans-serif" font-size="12">'
    )
    return "\n".join(
        [head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="#fff"/>', *parts, "</svg>", ""]
    )
