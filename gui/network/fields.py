"""A setting as a part of the page: its control, words about it, and the notes below.

    CheckField    on or off                 ChoiceField   one of a few, each with what it means
    NumberField   a whole number            (`tablefield.py`: a list of rules)

Rules: `show_state` shows what is wanted or in force and emits nothing; `edited` is the person's.
A locked control is disabled and its note says by whom. The mark beside a control says in words
that what it shows is not in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QRadioButton,
    QSpinBox,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from gui.network.draft import SettingState
from gui.network.notes import Notes
from gui.parts import Heading, Hint, PlainLabel, plain

__all__ = ["CheckField", "Choice", "ChoiceField", "Field", "NumberField"]


class Field(QWidget):
    """One setting. `edited` carries the value that the person wants now.

    Attributes:
        key: the setting.
        title: what it is called, for sentences about it.
        notes: what is said below it.
    """

    edited = Signal(object)
    notes: Notes
    _mark: PlainLabel

    def __init__(self, key: str, title: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.key = key
        self.title = title.replace("&", "").rstrip(":")
        self.setObjectName(key)
        self._space = QVBoxLayout(self)
        self._space.setContentsMargins(0, 0, 0, 0)
        self._space.setSpacing(self.fontMetrics().height() // 4)

    # For subclasses

    def show_value(self, value: object) -> None:
        """Show a value; nothing is emitted."""
        raise NotImplementedError

    def describe(self, value: object) -> str:
        """A value in a few words, for sentences."""
        raise NotImplementedError

    def control(self) -> QWidget:
        """What takes the focus."""
        raise NotImplementedError

    def controls(self) -> Sequence[QWidget]:
        """What is disabled while the setting is locked."""
        return [self.control()]

    def impossible(self) -> str:
        """Why what is shown cannot even be asked for, "" if it can."""
        return ""

    def lay_out(self, first: QWidget, *others: QWidget) -> None:
        """Put the parts below each other, with the mark beside the first and the notes last."""
        # Made now, so that Tab comes to the notes after the control.
        self._mark = PlainLabel("", self)
        self._mark.setObjectName(f"{self.key}-mark")
        self._mark.setWordWrap(False)
        self.notes = Notes(self.key, self)
        line = QHBoxLayout()
        line.addWidget(first, 1)
        line.addWidget(self._mark)
        self._space.addLayout(line)
        for other in (*others, self.notes):
            self._space.addWidget(other)

    def forget(self) -> None:
        """What was begun and is no value yet is not wanted any more."""

    def indented(self, widget: QWidget) -> QWidget:
        """The widget below a check box or radio button, in line with its words."""
        style = self.style()
        indent = style.pixelMetric(QStyle.PixelMetric.PM_IndicatorWidth)
        indent += style.pixelMetric(QStyle.PixelMetric.PM_CheckBoxLabelSpacing)
        box = QWidget(self)
        layout = QHBoxLayout(box)
        layout.setContentsMargins(indent, 0, 0, 0)
        layout.addWidget(widget)
        return box

    # For the page

    def show_state(self, state: SettingState, lock: str, action: str = "") -> None:
        """Show all that is known of the setting. `lock` says who locked it and why.

        `action` is what a button beside that does, if there is something to do.
        """
        self.show_value(state.value)
        for control in self.controls():
            control.setEnabled(not state.locked)
        self._mark.setText("• " + self.tr("not applied yet") if state.is_unsaved else "")
        self.notes.lock.tell(lock, action)
        elsewhere = ""
        if state.elsewhere:
            elsewhere = self.tr(
                "Meanwhile this was set to “{value}” elsewhere. Apply keeps yours, Cancel takes"
                " that one."
            ).format(value=self.describe(state.in_force))
        self.notes.elsewhere.tell(elsewhere)
        self.show_error(state.error or self.impossible())
        self._describe_control()

    def show_error(self, error: str) -> None:
        """Say what is wrong with the value."""
        self.notes.error.tell(error)

    def focus_error(self) -> None:
        """Put the focus where the error can be mended."""
        if self.control().isEnabled():
            self.control().setFocus(Qt.FocusReason.OtherFocusReason)
        else:
            self.notes.error.take_focus()

    def _describe_control(self) -> None:
        news = [self._mark.text().removeprefix("• "), *self.notes.texts()]
        for control in {self.control(), *self.controls()}:
            words = filter(None, [control.toolTip(), *news])
            control.setAccessibleDescription(plain(" ".join(words)))


class CheckField(Field):
    """On or off, with a sentence that says what that means."""

    def __init__(self, key: str, title: str, words: str, parent: QWidget) -> None:
        super().__init__(key, title, parent)
        self._box = QCheckBox(title, self)
        self._box.setObjectName(f"{key}-control")
        self._box.setAccessibleName(self.title)
        self._box.setToolTip(words)
        self._box.clicked.connect(lambda checked: self.edited.emit(bool(checked)))
        self.lay_out(self._box, self.indented(Hint(words, self)))

    def show_value(self, value: object) -> None:
        """See `Field`."""
        self._box.setChecked(bool(value))

    def describe(self, value: object) -> str:
        """See `Field`."""
        return self.tr("on") if value else self.tr("off")

    def control(self) -> QWidget:
        """See `Field`."""
        return self._box


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few values: what it is called, and what it means."""

    value: str
    title: str
    words: str


class ChoiceField(Field):
    """One of a few, all to be seen."""

    def __init__(
        self, key: str, title: str, words: str, choices: Sequence[Choice], parent: QWidget
    ) -> None:
        super().__init__(key, title, parent)
        self._choices = tuple(choices)
        self._group = QButtonGroup(self)
        parts: list[QWidget] = [Hint(words, self)]
        for number, choice in enumerate(self._choices):
            button = QRadioButton(choice.title, self)
            button.setObjectName(f"{key}-{choice.value}")
            button.setAccessibleName(f"{self.title}: {choice.title.replace('&', '')}")
            button.setToolTip(choice.words)
            button.setAccessibleDescription(choice.words)
            self._group.addButton(button, number)
            parts += [button, self.indented(Hint(choice.words, self))]
        self._group.idClicked.connect(lambda number: self.edited.emit(choices[number].value))
        self.lay_out(Heading(self.title, self, level=2), *parts)

    def show_value(self, value: object) -> None:
        """See `Field`. Of a value that it does not know, it shows none."""
        known = [choice.value for choice in self._choices]
        self._group.setExclusive(value in known)
        for number, each in enumerate(known):
            self._group.button(number).setChecked(each == value)
        self._group.setExclusive(True)

    def describe(self, value: object) -> str:
        """See `Field`."""
        titles = {choice.value: choice.title.replace("&", "") for choice in self._choices}
        return titles.get(str(value)) or plain(str(value))

    def control(self) -> QWidget:
        """See `Field`."""
        return self._group.checkedButton() or self._group.button(0)

    def controls(self) -> Sequence[QWidget]:
        """See `Field`."""
        return self._group.buttons()


class _Spin(QSpinBox):
    """A number that the wheel changes only where it was asked for: the page is scrolled by it."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's
        """See `QObject.eventFilter`."""
        if event.type() == QEvent.Type.Wheel and not self.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)


class NumberField(Field):
    """A whole number with its unit."""

    def __init__(
        self, key: str, title: str, words: str, unit: str, most: int, parent: QWidget
    ) -> None:
        super().__init__(key, title, parent)
        self._spin = _Spin(self)
        self._spin.setObjectName(f"{key}-control")
        self._spin.setRange(0, most)
        self._spin.setGroupSeparatorShown(True)
        self._spin.setSuffix(f" {unit}" if unit else "")
        self._spin.setToolTip(words)
        self._spin.setAccessibleName(self.title)
        self._spin.valueChanged.connect(lambda number: self.edited.emit(number))
        label = QLabel(title, self)
        label.setBuddy(self._spin)
        line = QWidget(self)
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(label)
        layout.addWidget(self._spin)
        layout.addStretch(1)
        self.lay_out(line, Hint(words, self))

    def show_value(self, value: object) -> None:
        """See `Field`."""
        if isinstance(value, int) and value != self._spin.value():
            with QSignalBlocker(self._spin):
                self._spin.setValue(value)

    def describe(self, value: object) -> str:
        """See `Field`."""
        return self.locale().toString(value) if isinstance(value, int) else plain(str(value))

    def control(self) -> QWidget:
        """See `Field`."""
        return self._spin
