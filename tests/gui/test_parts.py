"""The small widgets that all pages share."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QFont, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QLineEdit, QPushButton, QTextEdit
from pytestqt.qtbot import QtBot

from gui import parts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is", "as it is"),
        ("<b>web</b> & co", "<b>web</b> & co"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("two\nlines\tand", "two lines and"),
        ("moc.live\u202eetis", "moc.live\ufffdetis"),
        ("zero\u200bwidth\x00", "zero\ufffdwidth\ufffd"),
        ("", ""),
    ],
)
def test_nothing_that_steers_is_left_of_a_strangers_words(text: str, shown: str) -> None:
    assert parts.plain(text) == shown


def test_lines_are_kept_where_there_is_room_for_them() -> None:
    assert parts.plain("two\nlines\r", keep_lines=True) == "two\nlines "


def test_where_markup_would_count_there_is_none() -> None:
    text = parts.without_markup("<img src='x'> a < b & c")
    assert text == "\u2039img src='x'\u203a a \u2039 b & c"


def test_a_label_shows_markup_as_text(qtbot: QtBot) -> None:
    label = parts.PlainLabel("<img src=x>\x07")
    qtbot.addWidget(label)
    assert (label.text(), label.textFormat()) == ("<img src=x>\ufffd", Qt.TextFormat.PlainText)


def test_a_heading_is_larger_than_text_by_the_font_of_the_system(qtbot: QtBot) -> None:
    first, second = parts.Heading("One"), parts.Heading("Two", level=2)
    qtbot.addWidget(first)
    qtbot.addWidget(second)
    sizes = [label.font().pointSizeF() for label in (first, second)]
    usual = QFont().pointSizeF()
    assert sizes[0] > sizes[1] > usual
    assert first.font().bold()


def test_an_icon_grows_with_the_font(qtbot: QtBot) -> None:
    label = parts.IconLabel("lock")
    qtbot.addWidget(label)
    before = label.width()
    large = label.font()
    large.setPointSizeF(large.pointSizeF() * 4)
    label.setFont(large)
    assert label.width() > 2 * before


def test_an_icon_label_paints_its_icon(qtbot: QtBot) -> None:
    label = parts.IconLabel("lock")
    qtbot.addWidget(label)
    lock = label.grab().toImage()
    label.show_icon("warning")
    assert label.name == "warning"
    blank = QImage(lock.size(), lock.format())
    blank.fill(label.palette().window().color())
    assert label.grab().toImage() not in (lock, blank)


def test_the_copy_button_copies_what_is_there_now_and_says_so(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "COPIED_MS", 1)
    words = ["first"]
    button = parts.CopyButton(lambda: words[-1])
    qtbot.addWidget(button)
    words.append("second")
    with qtbot.waitSignal(button.copied):
        button.click()
    assert QGuiApplication.clipboard().text() == "second"
    assert button.text() == "Copied"
    qtbot.waitUntil(lambda: button.text() == "&Copy")


def test_the_copy_button_can_be_reached_by_tab(qtbot: QtBot) -> None:
    button = parts.CopyButton("text", label="Copy &address")
    qtbot.addWidget(button)
    assert button.focusPolicy() & Qt.FocusPolicy.TabFocus
    assert button.accessibleName() == "Copy address"
    assert button.accessibleDescription()


def test_a_command_is_shown_to_be_copied_and_not_to_be_changed(qtbot: QtBot) -> None:
    box = parts.CommandBox("samehost up")
    qtbot.addWidget(box)
    field = box.findChild(QLineEdit, "command")
    assert isinstance(field, QLineEdit)
    assert field.isReadOnly()
    box.show_command("samehost\ndown")
    button = box.findChild(parts.CopyButton, "copy")
    assert isinstance(button, parts.CopyButton)
    button.click()
    assert QGuiApplication.clipboard().text() == box.command == "samehost down"


def test_a_banner_is_hidden_until_something_is_wrong(qtbot: QtBot) -> None:
    banner = parts.Banner()
    qtbot.addWidget(banner)
    assert (banner.isHidden(), banner.message) == (True, "")
    banner.tell("The machine does not answer.", "wait", "&Try again")
    assert (banner.isHidden(), banner.message) == (False, "The machine does not answer.")
    assert banner.accessibleName() == "The machine does not answer."
    banner.clear()
    assert (banner.isHidden(), banner.message) == (True, "")


def test_a_banner_has_a_button_only_for_an_action_that_helps(qtbot: QtBot) -> None:
    banner = parts.Banner()
    qtbot.addWidget(banner)
    button, remedy = banner.findChild(QPushButton), banner.findChild(QLabel, "banner-remedy")
    assert isinstance(button, QPushButton)
    assert isinstance(remedy, QLabel)
    banner.tell("It is off.")
    assert (button.isHidden(), remedy.isHidden()) == (True, True)
    banner.tell("It is off.", "turn it on", "Turn &on")
    assert (button.isHidden(), remedy.text()) == (False, "turn it on")
    with qtbot.waitSignal(banner.acted):
        button.click()


def test_the_words_of_a_banner_are_only_words(qtbot: QtBot) -> None:
    banner = parts.Banner()
    qtbot.addWidget(banner)
    banner.tell("<a href='x'>machine</a>\x1b", "\u202eremedy")
    texts = [label.text() for label in banner.findChildren(QLabel)]
    assert texts == ["<a href='x'>machine</a>\ufffd", "\ufffdremedy"]


def test_what_is_clicked_on_does_not_move_away(qtbot: QtBot) -> None:
    area = parts.ScrollArea()
    content = QTextEdit()
    content.setFixedSize(50, 2000)
    area.setWidget(content)
    area.resize(100, 100)
    qtbot.addWidget(area)
    area.show()
    area.activateWindow()
    qtbot.waitUntil(area.isActiveWindow)
    area.setFocus()
    area.verticalScrollBar().setValue(700)
    QTest.mouseClick(content.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(5, 720))
    assert content.hasFocus()
    assert area.verticalScrollBar().value() == 700


@pytest.mark.parametrize("words", ["com.docker.compose.project=shop", "a1" * 32, "two\nlines, and"])
def test_a_label_whose_words_break_is_copied_without_breaks(qtbot: QtBot, words: str) -> None:
    label = parts.BreakingLabel()
    qtbot.addWidget(label)
    label.setText(words)
    label.show()
    label.activateWindow()
    qtbot.waitUntil(label.isActiveWindow)
    label.setFocus()
    assert label.text() == words
    label.setSelection(0, len(QLabel.text(label)))
    QTest.keyClick(label, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == words
