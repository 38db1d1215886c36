"""The page about faults has each of them, with tests that exist."""

from __future__ import annotations

import pytest

from tests.named_tests import DOCS, is_there, named, parts, stray

PAGE = DOCS / "resilience.md"

PARTS = (
    "Agent and daemon",
    "The machine and its engine",
    "The link",
    "Files, memory and ports",
    "Containers and listeners in their thousands",
    "Clients and servers",
    "Disk, settings and runtime folder",
)
LEAST_TESTS = 2


def rows(part: str) -> list[str]:
    """The faults of a part, a line each."""
    lines = [line for line in part.splitlines() if line.startswith("| ")]
    return lines[2:]


def test_the_page_speaks_of_every_kind_of_fault() -> None:
    assert tuple(parts(PAGE))[: len(PARTS)] == PARTS


@pytest.mark.parametrize("part", PARTS)
def test_every_fault_names_tests_and_all_of_them_exist(part: str) -> None:
    faults = rows(parts(PAGE)[part])
    assert len(faults) >= LEAST_TESTS
    for fault in faults:
        tests = named(fault)
        assert tests, fault
        assert [test for test in tests if not is_there(*test)] == []


def test_no_test_is_named_in_another_form() -> None:
    assert stray(PAGE) == 0
