"""The page about security names tests that exist, in whole and in each part."""

from __future__ import annotations

import pytest

from tests.named_tests import DOCS, is_there, named, parts, stray

PAGE = DOCS / "security.md"

PARTS = (
    "A hostile host-networked container",
    "A hostile bridge-networked container",
    "Another user of this computer",
    "Another computer on the network",
    "A malformed peer",
)


def test_the_page_speaks_of_everybody_who_may_mean_harm() -> None:
    assert tuple(parts(PAGE)) == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_every_part_names_tests_and_all_of_them_exist(part: str) -> None:
    tests = named(parts(PAGE)[part])
    assert len(tests) >= 3
    assert [test for test in tests if not is_there(*test)] == []


def test_no_test_is_named_in_another_form() -> None:
    assert stray(PAGE) == 0
