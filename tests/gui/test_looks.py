"""Every page in a language that is longer than English: all is translated, and all of it fits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.gui.cases import CASES, Case, Look, shown
from tests.gui.looks import cut_off, texts
from tests.gui.pseudo import pseudo, pseudo_language
from tests.gui.stage import is_data


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    case: Case = request.param
    with pseudo_language(), shown(case) as look:
        yield look


def test_all_that_the_window_says_is_translated(look: Look) -> None:
    wrong = [
        f"{place}: {text!r}"
        for place, text in texts(look.window)
        if "[" not in text and not is_data(text, look.backend)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_all_that_the_window_says_fits(look: Look) -> None:
    wrong = cut_off(look.window)
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_language_is_longer_and_keeps_places_and_mnemonics() -> None:
    text = pseudo("&Stop {name} now: %n port(s)")
    assert len(text) >= 1.4 * len("&Stop {name} now: %n port(s)")
    assert text.startswith("[&")
    assert {"{name}", "%n"} <= set(text.replace(":", " ").split())
