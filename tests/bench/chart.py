"""The comparison as an SVG: a panel for each case, a bar for each way. Pure.

Rules: made of the JSON that a run has written, so that a picture changes only with a run. A bar is
how many times as good as docker-proxy a way is: rates as they are, times and costs inverted, so
that longer is better everywhere. The line is docker-proxy's own 1; a bar that would be longer than
LONGEST ends there, its number tells; the other number is the figure itself. Colours suit light and
dark surroundings (prefers-color-scheme in CSS Media Queries 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from tests.bench.figures import number

__all__ = ["DIRECT", "OURS", "PROXY", "RATES", "Entry", "better", "by_case", "chart"]

RATES: Final = ("Gbit/s", "1/s")
"""Units of what should be much; all else should be little."""
OURS: Final = "samehost"
DIRECT: Final = "direct"
PROXY: Final = "docker-proxy"
LONGEST: Final = 3.0
COLUMNS: Final = 3
WIDTH: Final = 330
"""Of a panel, in pixels, as all that follows."""
NAMES: Final = 82
SCALE: Final = 50
"""Of one time docker-proxy."""
LINE: Final = 17
TITLE: Final = 26
GAP: Final = 14
MARGIN: Final = 16
COLOURS: Final = {
    "back": ("#f6f8fa", "#0d1117"),
    "text": ("#24292f", "#e6edf3"),
    "value": ("#57606a", "#8b949e"),
    "ours": ("#0969da", "#4493f8"),
    "proxy": ("#bf8700", "#d29922"),
    "direct": ("#d0d7de", "#30363d"),
    "other": ("#8c959f", "#6e7681"),
}
"""In light surroundings and in dark ones. Where styles are not known it is light."""
KINDS: Final = {OURS: "ours", DIRECT: "direct", PROXY: "proxy"}

Entry = Mapping[str, Any]
"""A figure, as in the JSON."""


def by_case(figures: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The figures of each case that several ways have, in the order of the run."""
    cases: dict[str, list[Entry]] = {}
    for figure in figures:
        if figure["way"]:
            cases.setdefault(figure["name"], []).append(figure)
    return cases


def better(figure: Entry) -> float | None:
    """How many times as good as docker-proxy; None if they do not compare."""
    if figure["way"] == PROXY:
        return 1.0
    ratio = figure["of_docker_proxy"]
    if not ratio:
        return None
    return float(ratio if figure["unit"] in RATES else 1 / ratio)


def chart(figures: Iterable[Entry]) -> str:
    """The picture of all cases of which something is required."""
    panels = [
        (name, shown)
        for name, entries in by_case(figures).items()
        if any(entry["required"] for entry in entries)
        and len(shown := [entry for entry in entries if better(entry) is not None]) > 1
    ]
    parts, top = [], MARGIN
    for start in range(0, len(panels), COLUMNS):
        row = panels[start : start + COLUMNS]
        for column, (name, entries) in enumerate(row):
            parts.append(_panel(name, entries, MARGIN + column * (WIDTH + GAP), top))
        top += TITLE + LINE * max(len(entries) for _, entries in row) + GAP
    width = 2 * MARGIN + COLUMNS * (WIDTH + GAP) - GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}" role="img" '
        f'aria-label="How many times as good as docker-proxy, case by case" '
        f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">'
    )
    dark = " ".join(f".{kind} {{ fill: {colour} }}" for kind, (_, colour) in COLOURS.items())
    style = f"<style>@media (prefers-color-scheme: dark) {{ {dark} }}</style>"
    back = f'<rect {_paint("back")} width="{width}" height="{top}" rx="12"/>'
    return "\n".join((head, style, back, *parts, "</svg>\n"))


def _panel(name: str, entries: Sequence[Entry], left: float, top: float) -> str:
    title = escape(f"{name} [{entries[0]['unit']}]")
    bold = f'font-weight="bold" x="{left}" y="{top + 13}"'
    parts = [f"<text {_paint('text')} {bold}>{title}</text>"]
    parts += [_bar(entry, left, top + TITLE + row * LINE) for row, entry in enumerate(entries)]
    one, height = left + NAMES + SCALE, len(entries) * LINE
    place = f'x="{one}" y="{top + TITLE - 4}" width="1" height="{height + 2}"'
    return "\n".join((*parts, f"<rect {_paint('proxy')} {place}/>"))


def _bar(entry: Entry, left: float, top: float) -> str:
    way, times = entry["way"], better(entry) or 0.0
    length = max(min(times, LONGEST) * SCALE, 1)
    x, y = left + NAMES, top + LINE - 7
    place = f'x="{x}" y="{top}" width="{length:.1f}" height="{LINE - 5}"'
    value, right = f"{times:.2f} · {number(entry['median'])}", x + max(length, SCALE) + 5
    return (
        f'<text {_paint("text")} x="{x - 5}" y="{y}" text-anchor="end">{escape(way)}</text>'
        f"<rect {_paint(KINDS.get(way, 'other'))} {place}/>"
        f'<text {_paint("value")} font-size="11" x="{right:.1f}" y="{y}">{value}</text>'
    )


def _paint(kind: str) -> str:
    return f'class="{kind}" fill="{COLOURS[kind][0]}"'
