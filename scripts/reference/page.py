"""The page: blocks between marks are written anew, what is outside of them is left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from scripts.reference.commands import commands
from scripts.reference.tables import TABLES
from scripts.reference.variables import variables
from scripts.reference.wire import fields, methods, printed

__all__ = ["BLOCKS", "PAGE", "PageError", "renewed"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference.md"

BLOCKS: Final[Mapping[str, Callable[[], str]]] = {
    "commands": commands,
    "variables": variables,
    **TABLES,
    "printed": printed,
    "fields": fields,
    "methods": methods,
}
"""What writes each block."""

MARKED: Final = re.compile(
    r"<!-- block: (?P<name>[a-z-]+) -->\n.*?<!-- end: (?P=name) -->", re.DOTALL
)


class PageError(Exception):
    """The page lacks a block, has one twice, or one that nobody writes."""


def renewed(text: str) -> str:
    """The page with every block as it is now. Raises PageError, NoSentenceError."""
    there = [match["name"] for match in MARKED.finditer(text)]
    wrong = sorted({*there} ^ {*BLOCKS} or {name for name in there if there.count(name) > 1})
    if wrong:
        raise PageError(f"each of these has to be there once: {', '.join(wrong)}")
    return MARKED.sub(_block, text)


def _block(match: re.Match[str]) -> str:
    name = match["name"]
    return f"<!-- block: {name} -->\n\n{BLOCKS[name]()}\n\n<!-- end: {name} -->"
