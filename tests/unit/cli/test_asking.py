"""Questions at the terminal."""

from __future__ import annotations

import getpass
import io
import os
import sys

import pytest

from desktop.cli.asking import asking
from desktop.cli.output import Progress


class Terminal(io.StringIO):
    """One that a person types into."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked for in secret; the answer is `sesame`."""
    asked: list[str] = []

    def answer(words: str) -> str:
        asked.append(words)
        return "sesame"

    monkeypatch.setattr(getpass, "getpass", answer)
    monkeypatch.setattr(sys, "stdin", Terminal("shown\n"))
    return asked


def test_a_secret_is_asked_for_in_secret(typed: list[str]) -> None:
    assert asking(Progress())("Password of me@box:", True) == "sesame"
    assert typed == ["Password of me@box: "]


def test_what_is_no_secret_is_shown(typed: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert asking(Progress())("Name:", False) == "shown"
    assert capsys.readouterr() == ("", "Name: ")
    assert not typed


def test_a_strangers_words_do_not_steer_the_terminal(typed: list[str]) -> None:
    asking(Progress())("Pass\x1b[2Jword\r\n:", True)
    assert typed == ["Pass [2Jword  : "]


def test_the_line_that_says_what_goes_on_makes_room(typed: list[str]) -> None:
    screen = Terminal()
    screen.fileno = lambda: os.open(os.devnull, os.O_WRONLY)  # type: ignore[method-assign]
    progress = Progress(screen)
    progress("logging in")
    asking(progress)("Password:", True)
    assert screen.getvalue().endswith("\r\x1b[K")
    assert typed


def test_without_a_terminal_nobody_answers(
    typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("not a person\n"))
    assert asking(Progress())("Password:", True) is None
    assert not typed


def test_an_end_of_file_is_no_answer(typed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_words: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", end)
    assert asking(Progress())("Password:", True) is None
    assert not typed
