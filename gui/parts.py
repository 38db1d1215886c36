"""Small widgets that all pages share: text that is only text, headings, banners, copy buttons.

    PlainLabel(text)            words of whoever: never read as HTML, nothing that steers in them
    BreakingLabel()             the same, of words that may be longer than a line
    Heading(text), Hint(text)   a title, and words beside a control that matter less
    CopyButton(what)            puts text on the clipboard, and says that it did
    CommandBox(command)         a command to type, with such a button
    Banner()                    what is wrong, what to do, and the one action that helps
    scrolled(page)              the layout of a page that can be scrolled
    ScrollArea(parent)          what is scrolled, and follows the keyboard

Rules: text from a machine or daemon goes through `plain`; sizes come from the font.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import QEvent, QLocale, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAccessible,
    QAccessibleAnnouncementEvent,
    QClipboard,
    QFont,
    QFontDatabase,
    QGuiApplication,
    QPainter,
    QPaintEvent,
    QPalette,
)
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from gui import icons

__all__ = [
    "Banner",
    "BreakingLabel",
    "CommandBox",
    "CopyButton",
    "Heading",
    "Hint",
    "IconLabel",
    "PlainLabel",
    "ScrollArea",
    "announce",
    "copy_text",
    "data_size",
    "describe_buttons",
    "plain",
    "scroll_area",
    "scrolled",
    "without_markup",
]

SMALLEST_KILOBYTE: Final = 1000
"""Bytes."""

WIDEST_TEXT: Final = 100
"""Letters of a line, which is more than one likes to read."""

BREAK: Final = "\u200b"
"""Zero width space: where a line may end."""

_BREAKABLE: Final = re.compile(r"[^\w\s]|(?<=\w{15})\w|_")
"""Letters after which a line may end, so that no word is too long for it."""

COPIED_MS: Final = 2000
"""How long a copy button says that it did."""


def plain(text: str, *, keep_lines: bool = False) -> str:
    """Words of a stranger, with nothing in them that steers: no control or direction characters."""
    if text.isprintable():
        return text
    kept = "\n" if keep_lines else ""
    return "".join(
        letter if letter.isprintable() or letter in kept else " " if letter.isspace() else "�"
        for letter in text
    )


def without_markup(text: str) -> str:
    """For notifications and tool tips, which may take what looks like a tag for one.

    Notifications: freedesktop.org's specification, "body-markup"; there is no other escape that
    every server knows. Tool tips: Qt::mightBeRichText.
    """
    return text.translate({ord("<"): "\u2039", ord(">"): "\u203a"})


def announce(widget: QWidget, text: str) -> None:
    """Say something to those who listen to their screen rather than look at it."""
    if QAccessible.isActive():
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(widget, text))


def describe_buttons(box: QMessageBox) -> None:
    """Have each button of a question say what it is about, to those who hear only the button."""
    for button in box.buttons():
        button.setAccessibleDescription(plain(f"{box.text()} {box.informativeText()}"))


def copy_text(text: str) -> None:
    """Put text on the clipboard."""
    QGuiApplication.clipboard().setText(text)


def data_size(count: float) -> str:
    """A number of bytes, for people: the same words wherever it is shown."""
    digits = 0 if count < SMALLEST_KILOBYTE else 1
    kind = QLocale.DataSizeFormat.DataSizeSIFormat
    return QLocale().formattedDataSize(round(count), digits, kind)


class ScrollArea(QScrollArea):
    """Brings to sight what gets the keyboard; `QScrollArea` does so for Tab, not for mnemonics.

    What is clicked on stays where it is.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.connect(self._follow)

    def _follow(self, _: QWidget | None, now: QWidget | None) -> None:
        is_by_mouse = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if now is not None and self.isAncestorOf(now) and not is_by_mouse:
            self.ensureWidgetVisible(now)


def scroll_area(page: QWidget) -> tuple[ScrollArea, QWidget]:
    """Room in a page that is scrolled where the window is small, and what is to be filled in it."""
    area = ScrollArea(page)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setWidgetResizable(True)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    content = QWidget(area)
    content.setMaximumWidth(WIDEST_TEXT * page.fontMetrics().averageCharWidth())
    area.setWidget(content)
    return area, content


def scrolled(page: QWidget) -> QVBoxLayout:
    """Make a whole page such room; returns the layout of what is in it."""
    area, content = scroll_area(page)
    around = QVBoxLayout(page)
    around.setContentsMargins(0, 0, 0, 0)
    around.addWidget(area)
    return QVBoxLayout(content)


class PlainLabel(QLabel):
    """Words, possibly of a stranger. They wrap, and can be selected by mouse where `selectable`."""

    def __init__(
        self, text: str = "", parent: QWidget | None = None, *, selectable: bool = False
    ) -> None:
        super().__init__(parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        if selectable:
            # Not by keyboard: each would be a stop on the way with Tab.
            self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setText(text)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show the words, without what steers."""
        super().setText(plain(text, keep_lines=True))


class BreakingLabel(PlainLabel):
    """Words that may be longer than a line, as a container's labels: all of them is to be seen.

    They break after punctuation, and very long ones anywhere; what is copied has no breaks in it.
    Selected by mouse, it is copied by keyboard, too.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        self._words = ""
        super().__init__("", parent, selectable=True)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        QGuiApplication.clipboard().changed.connect(self._take_breaks_out)

    def text(self) -> str:
        """What it says, without breaks."""
        return self._words

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show the words, without what steers."""
        self._words = plain(text, keep_lines=True)
        QLabel.setText(self, _BREAKABLE.sub(lambda found: found[0] + BREAK, self._words))

    def _take_breaks_out(self, mode: QClipboard.Mode) -> None:
        chosen = self.selectedText().replace("\u2029", "\n")  # as Qt ends its lines
        clipboard = QGuiApplication.clipboard()
        if BREAK in chosen and clipboard.text(mode) == chosen:
            clipboard.setText(chosen.replace(BREAK, ""), mode)


class Heading(PlainLabel):
    """The title of a page (`level` 1) or of a part of it (2)."""

    def __init__(self, text: str = "", parent: QWidget | None = None, *, level: int = 1) -> None:
        super().__init__(text, parent)
        font = QFont(self.font())
        font.setBold(True)
        font.setPointSizeF(font.pointSizeF() * (1.45 if level == 1 else 1.1))
        self.setFont(font)


class Hint(PlainLabel):
    """Words that explain, beside those that matter more."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        font = QFont(self.font())
        font.setPointSizeF(font.pointSizeF() * 0.92)
        self.setFont(font)


class IconLabel(QWidget):
    """An icon that tells nothing that words beside it do not: unseen by screen readers."""

    def __init__(self, name: str, parent: QWidget | None = None, *, scale: float = 1.0) -> None:
        super().__init__(parent)
        self._name = name
        self._scale = scale
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._resize()

    @property
    def name(self) -> str:
        """Which icon it shows."""
        return self._name

    def show_icon(self, name: str) -> None:
        """Show another one."""
        if name != self._name:
            self._name = name
            self.update()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._resize()
        super().changeEvent(event)

    def paintEvent(self, _: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.paintEvent`."""
        drawn = icons.pixmap(self._name, self.palette(), self.width(), self.devicePixelRatioF())
        painter = QPainter(self)
        painter.drawPixmap(0, 0, drawn)
        painter.end()

    def _resize(self) -> None:
        usual = self.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize, None, self)
        side = round(max(usual, self.fontMetrics().height()) * self._scale)
        self.setFixedSize(side, side)


class CopyButton(QToolButton):
    """Copies what `text` gives, or text itself, and says for a moment that it did."""

    copied = Signal()

    def __init__(
        self,
        text: str | Callable[[], str],
        parent: QWidget | None = None,
        *,
        label: str = "",
    ) -> None:
        super().__init__(parent)
        self._text = text
        self._label = label or self.tr("&Copy")
        self._over = QTimer(self)
        self._over.setSingleShot(True)
        self._over.setInterval(COPIED_MS)
        self._over.timeout.connect(self._show_usual)
        self.setObjectName("copy")
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clicked.connect(self._copy)
        self.setAccessibleName(self._label.replace("&", ""))
        self.setToolTip(self.tr("Put it on the clipboard"))
        self.setAccessibleDescription(self.toolTip())
        self._show_usual()

    def _copy(self) -> None:
        copy_text(self._text if isinstance(self._text, str) else self._text())
        icons.keep(self, "active", role=QPalette.ColorRole.ButtonText)
        self.setText(self.tr("Copied"))
        announce(self, self.tr("Copied"))
        self._over.start()
        self.copied.emit()

    def _show_usual(self) -> None:
        icons.keep(self, "copy", role=QPalette.ColorRole.ButtonText)
        self.setText(self._label)


class CommandBox(QWidget):
    """A command to type in a terminal: can be selected by mouse and by keyboard, and copied.

    `copy_label` is for pages with several: a mnemonic is there once.
    """

    def __init__(
        self, command: str = "", parent: QWidget | None = None, *, copy_label: str = ""
    ) -> None:
        super().__init__(parent)
        self._field = QLineEdit(self)
        self._field.setObjectName("command")
        self._field.setReadOnly(True)
        self._field.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self._field.setAccessibleName(self.tr("Command"))
        self._field.setAccessibleDescription(self.tr("To be typed in a terminal"))
        self._copy = CopyButton(self._field.text, self, label=copy_label)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._field, 1)
        layout.addWidget(self._copy)
        self.show_command(command)

    @property
    def command(self) -> str:
        """What it shows."""
        return self._field.text()

    def show_command(self, command: str) -> None:
        """Show another one."""
        self._field.setText(plain(command))
        self._field.setCursorPosition(0)


class Banner(QFrame):
    """One message above a page: an icon, what is wrong, what to do, and a button if one helps.

    It is hidden until `tell`, and again from `clear` on. `acted` when its button is pressed,
    `closed` when the person does not want to see any longer what is over anyway.
    """

    acted = Signal()
    closed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._told: tuple[str, str, str] | None = None
        self.setObjectName("banner")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.setBackgroundRole(QPalette.ColorRole.AlternateBase)
        self._icon = IconLabel("info", self)
        self._message = PlainLabel("", self, selectable=True)
        self._message.setObjectName("banner-message")
        self._remedy = Hint("", self)
        self._remedy.setObjectName("banner-remedy")
        self._remedy.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._button = QPushButton(self)
        self._button.setObjectName("banner-action")
        self._button.clicked.connect(self.acted)
        self._close = self._close_button()
        words = QVBoxLayout()
        words.addWidget(self._message)
        words.addWidget(self._remedy)
        layout = QHBoxLayout(self)
        layout.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        layout.addLayout(words, 1)
        layout.addWidget(self._button, 0, Qt.AlignmentFlag.AlignVCenter)
        layout.addWidget(self._close, 0, Qt.AlignmentFlag.AlignVCenter)
        self.hide()

    def _close_button(self) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName("banner-close")
        button.setAutoRaise(True)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.setAccessibleName(self.tr("Close"))
        button.setToolTip(self.tr("Close this message"))
        button.setAccessibleDescription(button.toolTip())
        icons.keep(button, "close", role=QPalette.ColorRole.ButtonText)
        button.clicked.connect(self.closed)
        return button

    def tell(
        self,
        message: str,
        remedy: str = "",
        action: str = "",
        icon: str = "warning",
        *,
        closes: bool = False,
    ) -> None:
        """Show a message; told the same again, nothing happens. `closes`: it can be put away."""
        told = (message, remedy, action)
        if told == self._told:
            return
        self._told = told
        self._icon.show_icon(icon)
        self._message.setText(message)
        self._remedy.setText(remedy)
        self._remedy.setVisible(bool(remedy))
        self._button.setText(action)
        self._button.setVisible(bool(action))
        self._close.setVisible(closes)
        self._button.setAccessibleDescription(plain(message))
        self.setAccessibleName(plain(message))
        self.setAccessibleDescription(plain(remedy))
        self.show()
        announce(self, plain(f"{message} {remedy}".strip()))

    def clear(self) -> None:
        """Nothing is wrong any more."""
        self._told = None
        self.hide()

    @property
    def message(self) -> str:
        """What it says, "" while it is hidden."""
        return self._told[0] if self._told else ""
