"""Questions that only a person can answer, asked while something is under way."""

from __future__ import annotations

import logging

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QLabel, QLineEdit, QPlainTextEdit, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from gui.machine.question import QuestionDialog, Questions
from gui.session import Question
from tests.gui.machine.stage import OTHER, Stage

SECRET = "correct horse"


def field(dialog: QuestionDialog) -> QLineEdit:
    found = dialog.findChild(QLineEdit, "answer")
    assert isinstance(found, QLineEdit)
    return found


def press(dialog: QDialog, name: str) -> None:
    button = dialog.findChild(QPushButton, name)
    assert isinstance(button, QPushButton)
    button.click()


def asked(stage: Stage, question: str = "Password of ada@build:") -> QuestionDialog:
    """Begin something that asks."""
    stage.backend.question = question
    stage.act(OTHER, "use")
    return stage.until_asked()


def question(text: str, answers: list[str | None], *, is_secret: bool = True) -> Question:
    return Question(text, is_secret, answers.append)


def test_an_answer_goes_to_the_daemon_and_what_was_begun_goes_on(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    dialog = asked(stage)
    QTest.keyClicks(field(dialog), SECRET)
    QTest.keyClick(field(dialog), Qt.Key.Key_Return)
    stage.until_done()
    assert f"answered {SECRET}" in stage.calls()
    assert stage.backend.current == OTHER
    shown = [each.text() for each in stage.page.findChildren(QLabel)]
    shown += [each.toPlainText() for each in stage.page.findChildren(QPlainTextEdit)]
    assert SECRET not in "\n".join(shown) + caplog.text


def test_what_is_typed_is_not_shown(stage: Stage) -> None:
    dialog = asked(stage)
    QTest.keyClicks(field(dialog), SECRET)
    assert field(dialog).echoMode() is QLineEdit.EchoMode.Password
    assert SECRET not in field(dialog).displayText()
    press(dialog, "no-answer")
    stage.until_done()


def test_the_question_says_whose_it_is(stage: Stage) -> None:
    dialog = asked(stage)
    texts = {each.objectName(): each.text() for each in dialog.findChildren(QLabel)}
    assert texts["question-whose"] == f"{OTHER} asks:"
    assert texts["question-text"] == "Password of ada@build:"
    assert "not from Samehost" in texts["question-hint"]
    assert field(dialog).accessibleDescription() == "Password of ada@build:"
    press(dialog, "no-answer")
    stage.until_done()


@pytest.mark.parametrize("way", ["no-answer", "escape", "close"])
def test_whoever_does_not_answer_ends_what_was_begun(stage: Stage, way: str) -> None:
    dialog = asked(stage)
    QTest.keyClicks(field(dialog), SECRET)
    if way == "escape":
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
    elif way == "close":
        dialog.close()
    else:
        press(dialog, way)
    stage.until_done()
    assert not any(call.startswith("answered") for call in stage.calls())
    assert "nobody answers" in stage.text("finding-title")


def test_a_question_goes_when_what_was_begun_is_cancelled(stage: Stage) -> None:
    asked(stage)
    stage.press("cancel")
    stage.until(lambda: stage.dialog(QuestionDialog) is None)
    assert not any(call.startswith("answered") for call in stage.calls())
    assert stage.is_offered("use")
    stage.until_done()


def test_a_question_goes_when_the_daemon_does(stage: Stage) -> None:
    asked(stage)
    stage.served.do(stage.backend.stopped.set)
    stage.until(lambda: stage.dialog(QuestionDialog) is None)
    assert not stage.page.choosing.work.is_running


def test_a_strangers_words_are_text_of_bearable_length(stage: Stage) -> None:
    dialog = asked(stage, "<b>Hi</b>\x1b[31m\u202e\nsecond line " + "x" * 10_000)
    label = dialog.findChild(QLabel, "question-text")
    assert isinstance(label, QLabel)
    assert label.text().startswith("<b>Hi</b>\ufffd[31m\ufffd\nsecond line xxx")
    assert len(label.text()) == 1000
    assert label.textFormat() is Qt.TextFormat.PlainText
    press(dialog, "no-answer")
    stage.until_done()


def test_the_field_is_wiped_also_for_whoever_would_undo(qtbot: QtBot) -> None:
    answers: list[str | None] = []
    dialog = QuestionDialog(question("Password:", answers), "vm")
    qtbot.addWidget(dialog)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, on=False)
    dialog.open()
    QTest.keyClicks(field(dialog), SECRET)
    press(dialog, "send-answer")
    assert answers == [SECRET]
    field(dialog).undo()
    assert field(dialog).text() == ""


def test_what_may_be_seen_is_shown_while_it_is_typed(qtbot: QtBot) -> None:
    answers: list[str | None] = []
    dialog = QuestionDialog(question("Code:", answers, is_secret=False), "")
    qtbot.addWidget(dialog)
    assert field(dialog).echoMode() is QLineEdit.EchoMode.Normal
    whose = dialog.findChild(QLabel, "question-whose")
    assert isinstance(whose, QLabel)
    assert whose.text() == "It asks:"


def test_several_questions_are_asked_in_turn_and_too_many_not_at_all(qtbot: QtBot) -> None:
    window = QWidget()
    qtbot.addWidget(window)
    questions = Questions(window)
    answers: list[str | None] = []
    ask = questions.asker("vm")
    for number in range(12):
        ask(question(f"Password {number}:", answers))
    assert answers == [None] * 3
    for number in range(2):
        (dialog,) = [each for each in window.findChildren(QuestionDialog) if each.isVisible()]
        QTest.keyClicks(field(dialog), f"answer {number}")
        press(dialog, "send-answer")
    assert answers[3:] == ["answer 0", "answer 1"]
    questions.withdraw()
    assert not [each for each in window.findChildren(QuestionDialog) if each.isVisible()]
    assert len(answers) == 5
