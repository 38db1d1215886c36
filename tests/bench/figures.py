"""Figures: what was measured, what is required of it, and how that is shown.

Rules: pure. A figure keeps all rounds' values; the table shows median, p99 and spread.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["Figure", "Requirement", "as_json", "percentile", "ratio", "table"]

FEW: Final = 20
"""With fewer rounds a 99th percentile says nothing that the highest value does not."""

_HEADER: Final = (
    "measure",
    "median",
    "p99",
    "lowest … highest",
    "unit",
    "n",
    "direct",
    "of direct",
    "required",
)


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is required, in words, and whether the figure meets it."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """Values of all rounds; `direct` are those of the same rounds past the mirror."""

    name: str
    unit: str
    values: tuple[float, ...]
    direct: tuple[float, ...] = ()
    required: Requirement | None = None

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The least value that is not below `percent` of all (nearest rank)."""
    return sorted(values)[max(math.ceil(len(values) * percent / 100) - 1, 0)]


def ratio(values: Sequence[float], direct: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(values, direct, strict=True))


def as_json(figures: Iterable[Figure]) -> list[dict[str, Any]]:
    """The figures with all their values, for a file."""
    return [
        {
            "name": figure.name,
            "unit": figure.unit,
            "median": figure.median,
            "p99": percentile(figure.values, 99),
            "values": figure.values,
            "direct": figure.direct,
            "of_direct": ratio(figure.values, figure.direct) if figure.direct else None,
            "required": figure.required.text if figure.required else None,
            "met": figure.required.met if figure.required else None,
        }
        for figure in figures
    ]


def table(figures: Iterable[Figure]) -> str:
    """The figures for a person; numbers to the right."""
    rows = [_HEADER, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    values, direct, required = figure.values, figure.direct, figure.required
    is_spread = len(values) > 1
    return (
        figure.name,
        _number(figure.median),
        _number(percentile(values, 99)) if len(values) >= FEW else "",
        f"{_number(min(values))} … {_number(max(values))}" if is_spread else "",
        figure.unit,
        str(len(values)),
        _number(statistics.median(direct)) if direct else "",
        f"{ratio(values, direct):.2f}" if direct else "",
        f"{required.text}: {'met' if required.met else 'MISSED'}" if required else "",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    is_text: Callable[[int], bool] = {0, 4, 8}.__contains__
    cells = (
        cell.ljust(width) if is_text(column) else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _number(value: float) -> str:
    """Three significant digits, and no fewer than the whole part."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(digits, 0)}f}"
