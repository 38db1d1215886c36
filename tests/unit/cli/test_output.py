"""Tables, colours and progress."""

from __future__ import annotations

import io

import pytest

from desktop.cli.output import Progress, clean, paint, size, table


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("desktop.cli.output.USUAL_WIDTH", 40)


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    text = table(("A", "STATE"), [("long name", "active"), ("b", "")], io.StringIO())
    assert text == "A          STATE\nlong name  active\nb"


def test_a_table_fits_the_terminal_and_only_the_wide_columns_suffer() -> None:
    rows = [("tcp", "a" * 60, "b" * 60)]
    lines = table(("P", "ONE", "TWO"), rows, Terminal()).splitlines()
    assert len(lines[1]) == 40
    assert lines[1].startswith("tcp  aaaa")
    assert lines[1].endswith("…")


def test_columns_that_must_be_whole_are_and_others_suffer_for_them() -> None:
    rows = [("127.0.0.1:27017", "a" * 60)]
    line = table(("HERE", "OWNER"), rows, Terminal(), whole=("HERE",)).splitlines()[1]
    assert line == f"127.0.0.1:27017  {'a' * 22}…"
    long = "[2001:db8::1]:27017" * 3
    assert long in table(("HERE",), [(long,)], Terminal(), whole=("HERE",))


def test_a_last_column_for_which_there_is_no_room_is_below_its_row() -> None:
    reason = "postgres (pid 811) on this computer has the port: stop it"
    rows = [("db", "conflict", reason), ("web", "active", "")]
    head = ("OWNER", "STATE", "REASON")
    lines = table(head, rows, Terminal(), is_last_below=True).splitlines()
    assert lines == [
        "OWNER  STATE",
        "db     \x1b[31mconflict\x1b[0m",
        f"  {reason}",
        "web    \x1b[32mactive\x1b[0m",
    ]
    assert table(head, rows[1:], Terminal(), is_last_below=True).splitlines()[0].endswith("REASON")
    assert reason in table(head, rows, io.StringIO(), is_last_below=True).splitlines()[1]


def test_without_a_terminal_nothing_is_cut() -> None:
    assert "a" * 500 in table(("A",), [("a" * 500,)], io.StringIO())


def test_states_are_coloured_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paint("active", Terminal()) == "\x1b[32mactive\x1b[0m"
    assert paint("active", io.StringIO()) == "active"
    assert paint("nginx", Terminal()) == "nginx"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("active", Terminal()) == "active"


def test_colour_does_not_move_the_columns() -> None:
    line = table(("S", "X"), [("active", "y")], Terminal()).splitlines()[1]
    assert line == "\x1b[32mactive\x1b[0m  y"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("a\nb", "a b"), ("\x1b[2J", " [2J"), ("\u202eevil", " evil"), ("ü", "ü")],
)
def test_what_steers_a_terminal_is_blanked(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_progress_on_a_terminal_is_one_line_that_is_wiped() -> None:
    stream = Terminal()
    with Progress(stream) as progress:
        progress("x" * 100)
        progress("two\n")
    assert stream.getvalue() == f"\r\x1b[K{'x' * 39}\r\x1b[Ktwo \r\x1b[K"


def test_progress_elsewhere_is_a_line_each() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress("one")
        progress("two")
    assert stream.getvalue() == "one\ntwo\n"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (1 << 50, "1024.0 TiB"),
    ],
)
def test_bytes_have_units(count: int, text: str) -> None:
    assert size(count) == text
