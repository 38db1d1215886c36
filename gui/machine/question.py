"""Asks what only a person knows, such as a password: one dialog after the other.

    questions = Questions(page)
    session.call("use", …, ask=questions.asker("ssh:ada@box"))
    questions.withdraw()        nobody wants to know any more

Rules: what is asked are a server's words: plain, bounded, and marked as such. Each question is
answered once, with None if the dialog is closed. An answer is kept nowhere but on its way to the
daemon: the field is wiped as soon as it is read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QVBoxLayout,
    QWidget,
)

from gui.machine.words import cut
from gui.parts import Hint, IconLabel, PlainLabel, plain
from gui.session import Question

__all__ = ["QuestionDialog", "Questions"]

LONGEST_QUESTION: Final = 1000
LONGEST_ANSWER: Final = 4096
MOST_WAITING: Final = 8
"""Questions that wait for their turn; nobody answers more than that."""
WIDTH_LETTERS: Final = 64


class QuestionDialog(QDialog):
    """One question. Closed in whatever way, it answers once, and is gone."""

    def __init__(self, question: Question, whose: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._question: Question | None = question
        self.setObjectName("question")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setWindowTitle(self.tr("A machine asks"))
        self._field = self._make_field(is_secret=question.is_secret)
        self._label = QLabel(self.tr("&Answer:"), self)
        self._label.setBuddy(self._field)
        layout = QVBoxLayout(self)
        layout.addLayout(self._heading(whose))
        layout.addWidget(self._words(question.text))
        layout.addWidget(self._warning())
        answer = QHBoxLayout()
        answer.addWidget(self._label)
        answer.addWidget(self._field, 1)
        layout.addLayout(answer)
        layout.addWidget(self._buttons())
        self.setMinimumWidth(self.fontMetrics().averageCharWidth() * WIDTH_LETTERS)
        self._field.setFocus()
        self.finished.connect(self._finished)

    def withdraw(self) -> None:
        """Nobody wants to know any more."""
        self._question = None
        self._wipe()
        self.done(QDialog.DialogCode.Rejected)

    def _heading(self, whose: str) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(IconLabel("lock" if self._is_secret() else "machine", self, scale=1.5))
        said = PlainLabel(
            self.tr("{} asks:").format(cut(plain(whose), 100)) if whose else self.tr("It asks:")
        )
        said.setObjectName("question-whose")
        row.addWidget(said, 1)
        return row

    def _words(self, text: str) -> QFrame:
        """The question in a frame of its own, so that nobody takes it for ours."""
        frame = QFrame(self)
        frame.setFrameShape(QFrame.Shape.StyledPanel)
        frame.setBackgroundRole(QPalette.ColorRole.Base)
        frame.setAutoFillBackground(True)
        self._text = PlainLabel(cut(text, LONGEST_QUESTION), frame, selectable=True)
        self._text.setObjectName("question-text")
        self._text.setForegroundRole(QPalette.ColorRole.Text)
        QVBoxLayout(frame).addWidget(self._text)
        return frame

    def _warning(self) -> Hint:
        hint = Hint(
            self.tr(
                "The words in the frame come from the machine or its server, not from Samehost."
                " The answer is sent there, and is not stored."
            )
        )
        hint.setObjectName("question-hint")
        return hint

    def _make_field(self, *, is_secret: bool) -> QLineEdit:
        field = QLineEdit(self)
        field.setObjectName("answer")
        field.setMaxLength(LONGEST_ANSWER)
        field.setAccessibleName(self.tr("Answer"))
        field.setAccessibleDescription(cut(plain(self._asked()), LONGEST_QUESTION))
        if is_secret:
            field.setEchoMode(QLineEdit.EchoMode.Password)
        return field

    def _buttons(self) -> QDialogButtonBox:
        kinds = QDialogButtonBox.StandardButton
        box = QDialogButtonBox(kinds.Ok | kinds.Cancel, self)
        box.accepted.connect(self.accept)
        box.rejected.connect(self.reject)
        described = {
            kinds.Ok: ("send-answer", self.tr("Send the answer to the machine")),
            kinds.Cancel: ("no-answer", self.tr("Do not answer: what is under way then fails")),
        }
        for kind, (name, words) in described.items():
            button = box.button(kind)
            button.setObjectName(name)
            button.setAccessibleName(button.text().replace("&", ""))
            button.setAccessibleDescription(words)
            button.setToolTip(words)
        return box

    def _is_secret(self) -> bool:
        return self._question is not None and self._question.is_secret

    def _asked(self) -> str:
        return self._question.text if self._question is not None else ""

    def _finished(self, result: int) -> None:
        question, self._question = self._question, None
        text = self._field.text() if result == QDialog.DialogCode.Accepted else None
        self._wipe()
        if question is not None:
            question.answer(text)

    def _wipe(self) -> None:
        """Also what could be undone."""
        self._field.setText("")


class Questions(QObject):
    """Shows the questions of what is under way, in turn."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._place = parent
        self._waiting: deque[tuple[Question, str]] = deque()
        self._dialog: QuestionDialog | None = None

    def asker(self, whose: str) -> Callable[[Question], None]:
        """For `Session.call`; `whose` is the machine that will ask."""

        def ask(question: Question) -> None:
            if len(self._waiting) >= MOST_WAITING:
                question.answer(None)
                return
            self._waiting.append((question, whose))
            self._next()

        return ask

    def withdraw(self) -> None:
        """What was asked for has ended: nobody wants to know any more."""
        self._waiting.clear()
        if self._dialog is not None:
            self._dialog.withdraw()

    def _next(self) -> None:
        if self._dialog is not None or not self._waiting:
            return
        question, whose = self._waiting.popleft()
        self._dialog = QuestionDialog(question, whose, self._place.window())
        self._dialog.finished.connect(self._answered)
        self._dialog.open()

    def _answered(self) -> None:
        self._dialog = None
        self._next()
