"""Figures: what was measured, what is required of it, and how that is shown.

Rules: pure. A figure keeps all rounds' values; the table shows median, p99 and spread.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

__all__ = ["Figure", "Requirement", "as_json", "number", "percentile", "ratio", "table"]

FEW: Final = 20
"""With fewer rounds a 99th percentile says nothing that the highest value does not."""

_HEADER: Final = (
    "measure",
    "way",
    "median",
    "p99",
    "lowest … highest",
    "unit",
    "n",
    "direct",
    "of direct",
    "docker-proxy",
    "of docker-proxy",
    "required",
)
_IS_TEXT: Final = tuple(map({"measure", "way", "unit", "required"}.__contains__, _HEADER))


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is required, in words, and whether the figure meets it."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figure:
    """Values of all rounds.

    `direct` and `proxy` are those of the same rounds past the mirror, and through docker-proxy.
    What may well be nothing, such as a loss, has no ratios. `way` is that of the values, where
    several are compared.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    direct: tuple[float, ...] = ()
    required: Requirement | None = None
    proxy: tuple[float, ...] = ()
    has_ratios: bool = True
    way: str = ""

    def requiring(self, required: Requirement | None) -> Figure:
        """The same, with that required."""
        return replace(self, required=required)

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
            "way": figure.way,
            "unit": figure.unit,
            "median": figure.median,
            "p99": percentile(figure.values, 99),
            "values": figure.values,
            "direct": figure.direct,
            "of_direct": _ratio(figure, figure.direct),
            "docker_proxy": figure.proxy,
            "of_docker_proxy": _ratio(figure, figure.proxy),
            "required": figure.required.text if figure.required else None,
            "met": figure.required.met if figure.required else None,
        }
        for figure in figures
    ]


def table(figures: Iterable[Figure]) -> str:
    """The figures for a person; numbers to the right, columns without any left out."""
    rows = [_row(figure) for figure in figures]
    used = [column for column in range(len(_HEADER)) if any(row[column] for row in rows)]
    rows.insert(0, _HEADER)
    widths = {column: max(len(row[column]) for row in rows) for column in used}
    return "\n".join(_line(row, widths) for row in rows)


def _row(figure: Figure) -> tuple[str, ...]:
    values, required = figure.values, figure.required
    is_spread = len(values) > 1
    return (
        figure.name,
        figure.way,
        number(figure.median),
        number(percentile(values, 99)) if len(values) >= FEW else "",
        f"{number(min(values))} … {number(max(values))}" if is_spread else "",
        figure.unit,
        str(len(values)),
        *_compared(figure, figure.direct),
        *_compared(figure, figure.proxy),
        f"{required.text}: {'met' if required.met else 'MISSED'}" if required else "",
    )


def _compared(figure: Figure, others: Sequence[float]) -> tuple[str, str]:
    of_others = _ratio(figure, others)
    return (
        number(statistics.median(others)) if others else "",
        "" if of_others is None else f"{of_others:.2f}",
    )


def _ratio(figure: Figure, others: Sequence[float]) -> float | None:
    return ratio(figure.values, others) if figure.has_ratios and others and all(others) else None


def _line(row: Sequence[str], widths: Mapping[int, int]) -> str:
    cells = (
        row[column].ljust(width) if _IS_TEXT[column] else row[column].rjust(width)
        for column, width in widths.items()
    )
    return "  ".join(cells).rstrip()


def number(value: float) -> str:
    """A value for a person: three significant digits, and no fewer than the whole part."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:.0f}"
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    return f"{value:.{max(digits, 0)}f}"
