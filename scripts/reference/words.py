"""The sentences of the code: docstrings, and the strings that stand below fields and members.

Rules: what has no sentence raises NoSentenceError, which says where one is wanted.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import pairwise

__all__ = ["NoSentenceError", "first_sentence", "meanings", "members_of", "require", "table"]


class NoSentenceError(Exception):
    """Something has a name and no words that say what it means."""


def require(words: str | None, name: str) -> str:
    """The words in one line. Raises NoSentenceError for none."""
    text = " ".join((words or "").split())
    if not text:
        raise NoSentenceError(f"{name} has no sentence: write one where it is defined")
    return text


def first_sentence(thing: object, name: str) -> str:
    """The first paragraph of a docstring, in one line. Raises NoSentenceError."""
    return require((inspect.getdoc(thing) or "").partition("\n\n")[0], name)


def members_of(kind: type) -> Mapping[str, str]:
    """The sentences below the fields or members of a class. Raises NoSentenceError.

    A sentence below several fields is that of each.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    (definition,) = tree.body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{kind} is not a class")
    said: dict[str, str] = {}
    for statement, after in pairwise([*definition.body, ast.Pass()]):
        for name in _names(statement):
            text = after.value if isinstance(after, ast.Expr) else None
            words = text.value if isinstance(text, ast.Constant) else None
            place = f"{kind.__module__}.{kind.__name__}.{name}"
            said[name] = require(words if isinstance(words, str) else None, place)
    return said


def meanings(kind: type[Enum]) -> Mapping[str, str]:
    """The sentences of an enumeration by its values. Raises NoSentenceError."""
    said = members_of(kind)
    return {str(each.value): said[each.name] for each in kind}


def _names(statement: ast.stmt) -> list[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    elif isinstance(statement, ast.Assign):
        targets = statement.targets
    return [each.id for each in targets if isinstance(each, ast.Name)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; a bar in a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )
