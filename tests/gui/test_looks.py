"""Every page in a language longer than English, and in those there are: translated, and it fits."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QApplication

from gui import language
from scripts.translations import LANGUAGES
from tests.gui.cases import CASES, Case, Look, shown
from tests.gui.looks import cut_off, texts
from tests.gui.pseudo import pseudo, pseudo_language
from tests.gui.stage import is_data
from tests.gui.walker import mnemonics


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    case: Case = request.param
    with pseudo_language(), shown(case) as look:
        yield look


def test_all_that_the_window_says_is_translated(look: Look) -> None:
    wrong = [
        f"{place}: {text!r}"
        for place, text in texts(look.surface)
        if "[" not in text and not is_data(text, look.backend)
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_all_that_the_window_says_fits(look: Look) -> None:
    wrong = cut_off(look.surface)
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("name", [each for each in LANGUAGES if each != "en"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_translation_fits_and_has_mnemonics_of_its_own(
    qapp: QApplication, case: Case, name: str
) -> None:
    installed = language.install(qapp, QLocale(name))
    try:
        with shown(case) as look:
            doubled = [key for key, count in mnemonics(look.surface).items() if count > 1]
            assert not doubled
            assert not cut_off(look.surface)
    finally:
        for each in installed:
            qapp.removeTranslator(each)


def test_the_language_is_longer_and_keeps_places_and_mnemonics() -> None:
    text = pseudo("&Stop {name} now: %n port(s)")
    assert len(text) >= 1.4 * len("&Stop {name} now: %n port(s)")
    assert text.startswith("[&")
    assert {"{name}", "%n"} <= set(text.replace(":", " ").split())
