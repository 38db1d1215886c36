"""A page on a terminal that is drawn again and again."""

from __future__ import annotations

import io
import os
from collections.abc import Callable

import pytest

from desktop.cli.page import Page

Sized = Callable[[int, int], None]


class Terminal(io.StringIO):
    """What is written to it, a terminal shows."""

    def fileno(self) -> int:
        return 1

    def said(self) -> str:
        """Since it was asked last."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        return text


@pytest.fixture
def sized(monkeypatch: pytest.MonkeyPatch) -> Sized:
    """Gives every terminal so many columns and lines; 20 and 5 at first."""

    def give(columns: int, lines: int) -> None:
        monkeypatch.setattr(
            "desktop.cli.page.os.get_terminal_size", lambda _: os.terminal_size((columns, lines))
        )

    give(20, 5)
    return give


@pytest.fixture
def terminal(sized: Sized) -> Terminal:
    assert sized is not None
    return Terminal()


def test_what_was_there_before_scrolls_up_once_and_nothing_that_scrolled_is_erased(
    terminal: Terminal,
) -> None:
    page = Page(terminal)
    page.draw("one")
    assert terminal.said() == "\n" * 5 + "\x1b[H\x1b[Jone\n"
    page.draw("two")
    assert terminal.said() == "\x1b[H\x1b[Jtwo\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1\n2\n3\n4", "1\n2\n3\n4"),
        ("1\n2\n3\n4\n5", "1\n2\n3\n… 2 more lines: samehost ports"),
        (f"1\n{'x' * 21}\n4\n5", f"1\n{'x' * 21}\n… 2 more lines: samehost ports"),
        (f"1\n\x1b[32m{'x' * 20}\x1b[0m\n3\n4", f"1\n\x1b[32m{'x' * 20}\x1b[0m\n3\n4"),
    ],
)
def test_of_a_page_that_is_too_high_the_first_lines_are_shown_and_how_many_more_there_are(
    terminal: Terminal, text: str, shown: str
) -> None:
    page = Page(terminal)
    page.draw("")
    terminal.said()
    page.draw(text)
    assert terminal.said() == f"\x1b[H\x1b[J{shown}\n"


def test_a_terminal_that_does_not_know_its_size_has_the_usual_one(
    terminal: Terminal, sized: Sized
) -> None:
    sized(0, 0)
    Page(terminal).draw("one")
    assert terminal.said() == "\n" * 24 + "\x1b[H\x1b[Jone\n"
