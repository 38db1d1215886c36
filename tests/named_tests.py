"""Tests that a page of docs names as `path::name`: which they are, and whether they exist.

Counterparts: `docs/security.md`, `docs/resilience.md`.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["DOCS", "is_there", "named", "parts", "stray"]

PROJECT: Final = Path(__file__).parents[1]
DOCS: Final = PROJECT / "docs"
NAMED: Final = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def parts(page: Path) -> dict[str, str]:
    """A page's parts by heading, without what stands before the first."""
    return dict(part.split("\n", 1) for part in page.read_text().split("\n## ")[1:])


def named(text: str) -> list[tuple[str, str]]:
    """The tests that a text names: file and name."""
    return NAMED.findall(text)


def is_there(path: str, name: str) -> bool:
    """True if there is such a test."""
    return name.lower().startswith("test") and name in _names_in(path)


def stray(page: Path) -> int:
    """How often a page speaks of the tests otherwise than by naming one."""
    text = page.read_text()
    return text.count("tests/") - len(named(text))


@cache
def _names_in(path: str) -> frozenset[str]:
    """Names of the tests of a module, also of those that a state machine makes."""
    try:
        tree = ast.parse((PROJECT / path).read_bytes())
    except FileNotFoundError:
        return frozenset()
    names = set[str]()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return frozenset(names)
