"""The page about security names tests that exist, in whole and in each part."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")

PARTS = (
    "A hostile host-networked container",
    "A hostile bridge-networked container",
    "Another user of this computer",
    "Another computer on the network",
    "A malformed peer",
)


def parts() -> dict[str, str]:
    """The page's parts by heading."""
    return dict(part.split("\n", 1) for part in PAGE.read_text().split("\n## ")[1:])


@cache
def names_in(path: str) -> frozenset[str]:
    """Names of the tests of a module, also of those that a state machine makes."""
    tree = ast.parse((PROJECT / path).read_bytes())
    names = set[str]()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return frozenset(names)


def test_the_page_speaks_of_everybody_who_may_mean_harm() -> None:
    assert tuple(parts()) == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_every_part_names_tests_and_all_of_them_exist(part: str) -> None:
    named = NAMED.findall(parts()[part])
    assert len(named) >= 3
    for path, name in named:
        assert (PROJECT / path).is_file(), path
        assert name in names_in(path), f"{path}::{name}"
        assert name.lower().startswith("test")


def test_no_test_is_named_in_another_form() -> None:
    text = PAGE.read_text()
    assert text.count("tests/") == len(NAMED.findall(text))
