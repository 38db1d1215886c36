"""Every page by keyboard alone, and as a screen reader tells it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtGui import QAccessible
from PySide6.QtWidgets import QScrollArea

from tests.gui.cases import CASES, Case, Look, shown
from tests.gui.walker import interactive, missed, mnemonics, say, spoken, tab_stops

NO_ROLES = (QAccessible.Role.NoRole, QAccessible.Role.Client)


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    case: Case = request.param
    with shown(case) as look:
        yield look


def test_every_control_has_a_role_a_name_and_a_description(look: Look) -> None:
    wrong = []
    for each in interactive(look.surface):
        name, description, role = spoken(each)
        is_told = name and (description or role == QAccessible.Role.StaticText)
        has_role = role not in NO_ROLES or isinstance(each, QScrollArea)  # Qt has none for it
        if not is_told or not has_role:
            wrong.append(f"{say(each)}: {role.name}, name {name!r}, description {description!r}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_tab_comes_to_every_control_and_round(look: Look) -> None:
    stops = tab_stops(look.surface)
    left_out = missed(look.surface, stops)
    assert stops
    assert not left_out, (
        f"\nnot reached: {list(map(say, left_out))}\nreached: {list(map(say, stops))}"
    )


def test_no_two_have_the_same_mnemonic(look: Look) -> None:
    doubled = {key: count for key, count in mnemonics(look.surface).items() if count > 1}
    assert not doubled
