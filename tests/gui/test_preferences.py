"""What the window remembers: kept in a file of its own, and never taken on trust."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from PySide6.QtCore import QRect, QSize
from pytestqt.qtbot import QtBot

from gui.preferences import Preferences, PreferencesFile, placed

SCREEN = QRect(0, 0, 1920, 1080)
SECOND = QRect(1920, 0, 1280, 1024)
SMALL = QRect(0, 0, 640, 448)
LEAST = QSize(400, 300)


def test_what_was_changed_is_there_the_next_time(tmp_path: Path) -> None:
    file = PreferencesFile(tmp_path / "deep" / "window.json")
    file.change(page="ports", place=(1, 2, 800, 600), notifications=False, columns=b"\0\xff")
    again = PreferencesFile(tmp_path / "deep" / "window.json")
    assert again.now == file.now
    assert (again.now.page, again.now.columns) == ("ports", b"\0\xff")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["window.json"]


def test_a_change_is_told_once_and_only_if_it_is_one(tmp_path: Path, qtbot: QtBot) -> None:
    file = PreferencesFile(tmp_path / "window.json")
    with qtbot.waitSignal(file.changed):
        file.change(page="about")
    with qtbot.assertNotEmitted(file.changed):
        file.change(page="about")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 5000, b'{"page": 7, "place": "here"}'],
)
def test_a_file_that_is_no_good_counts_as_not_there(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "window.json"
    path.write_bytes(content)
    assert PreferencesFile(path).now == Preferences()


def test_what_is_good_of_a_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text(json.dumps({"page": "ports", "place": ["x"], "maximised": True, "new": 1}))
    assert PreferencesFile(path).now == Preferences(page="ports", maximised=True)


def test_where_nothing_can_be_written_the_window_works_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    file = PreferencesFile(tmp_path / "file" / "window.json")
    with caplog.at_level(logging.WARNING):
        file.change(page="about")
    assert file.now.page == "about"
    assert "not kept" in caplog.text


@pytest.mark.parametrize(
    ("place", "screens", "expected"),
    [
        ((100, 50, 800, 600), [SCREEN], QRect(100, 50, 800, 600)),
        ((2000, 50, 800, 600), [SCREEN, SECOND], QRect(2000, 50, 800, 600)),
        ((2000, 50, 800, 600), [SCREEN], QRect(560, 240, 800, 600)),
        ((100, -500, 800, 600), [SCREEN], QRect(560, 240, 800, 600)),
        ((100, 1075, 800, 600), [SCREEN], QRect(560, 240, 800, 600)),
        ((-780, 10, 800, 600), [SCREEN], QRect(560, 240, 800, 600)),
        ((-700, 10, 800, 600), [SCREEN], QRect(-700, 10, 800, 600)),
        ((0, 0, 5000, 5000), [SCREEN], QRect(0, 0, 1904, 1032)),
        ((700, 300, 800, 5000), [SCREEN], QRect(700, 0, 800, 1032)),
        ((20, 20, 900, 600), [SMALL], QRect(0, 0, 624, 400)),
        ((20, 20, 300, 200), [QRect(0, 0, 400, 300)], QRect(0, 0, 384, 252)),
        ((10, 10, 1, 1), [SCREEN], QRect(10, 10, 400, 300)),
        ((), [SCREEN], None),
        ((1, 2, 3), [SCREEN], None),
        ((1, 2, 800, 600), [], None),
    ],
    ids=[
        "where it was",
        "on the second screen",
        "the second screen has gone",
        "above the screen",
        "below the screen",
        "all but a sliver beside the screen",
        "enough beside the screen to be caught",
        "larger than the screen",
        "higher than the screen",
        "on a smaller screen than before",
        "on a screen that is smaller than the window can be",
        "smaller than it can be",
        "never placed",
        "not a place",
        "no screen",
    ],
)
def test_a_window_is_never_out_of_sight(
    place: tuple[int, ...], screens: list[QRect], expected: QRect | None
) -> None:
    found = placed(place, screens, LEAST)
    if expected is not None and place == (10, 10, 1, 1):
        # The sliver that it was cannot be caught, so it goes to the middle.
        expected.moveCenter(SCREEN.center())
    assert found == expected


def test_a_place_that_no_screen_has_counts_as_not_there(tmp_path: Path) -> None:
    path = tmp_path / "window.json"
    path.write_text('{"place": [1000000000000, 0, 1, 1], "page": "ports"}')
    assert PreferencesFile(path).now == Preferences(page="ports")
