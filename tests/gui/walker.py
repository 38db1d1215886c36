"""Walks over a page as people do who have no mouse, or do not see it: keys and QAccessible.

Rules: interactive is what takes the keyboard and is enabled and to be seen; parts of one control
(the text field of a spin box) count as that control. Radio buttons of a group are one stop of Tab;
the arrow keys go on.

Counterparts: `test_accessibility.py` says what must be true of what is found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QAccessible, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QGroupBox,
    QHeaderView,
    QLabel,
    QRadioButton,
    QTabBar,
    QWidget,
)

__all__ = ["interactive", "missed", "mnemonics", "say", "spoken", "tab_stops", "visible"]

MOST_STOPS: Final = 300
"""A walk by Tab that is longer never comes round."""

WHOLE: Final = (QAbstractSpinBox, QComboBox)
"""Controls that are made of several widgets."""

CONTROLS: Final = (QAbstractButton, QAbstractItemView, QTabBar, *WHOLE)


def visible(page: QWidget) -> list[QWidget]:
    """All of a page that is to be seen, itself included."""
    return [each for each in (page, *page.findChildren(QWidget)) if each.isVisibleTo(page)]


def interactive(page: QWidget) -> list[QWidget]:
    """What a person can act on, in no order."""
    return [
        each
        for each in visible(page)
        if each.isEnabled() and _takes_keys(each) and _control(each) is each
    ]


def _takes_keys(each: QWidget) -> bool:
    if isinstance(each, QHeaderView):
        return False  # its table's keys
    if isinstance(each, QAbstractScrollArea) and not isinstance(each, QAbstractItemView):
        return bool(each.focusPolicy() & Qt.FocusPolicy.TabFocus) and each.focusProxy() is None
    is_control = isinstance(each, CONTROLS)
    is_reached = bool(each.focusPolicy() & Qt.FocusPolicy.TabFocus)
    return (is_control or is_reached) and not _is_of_a_style(each)


def _is_of_a_style(each: QWidget) -> bool:
    """Parts that Qt itself puts into a control: scroll bars, the corner of a table."""
    owner = each.parentWidget()
    is_part = isinstance(owner, QAbstractItemView) and isinstance(each, QAbstractButton)
    return is_part or each.objectName().startswith("qt_")


def _control(each: QWidget) -> QWidget:
    """The control that a widget is a part of, which may be itself."""
    owner: QWidget | None = each
    found = each
    while owner is not None:
        if isinstance(owner, WHOLE):
            found = owner
        owner = owner.parentWidget()
    return found


def spoken(each: QWidget) -> tuple[str, str, QAccessible.Role]:
    """Name, description and role, as a screen reader gets them."""
    interface = QAccessible.queryAccessibleInterface(each)
    name = interface.text(QAccessible.Text.Name)
    description = interface.text(QAccessible.Text.Description)
    return name, description or interface.text(QAccessible.Text.Help), interface.role()


def tab_stops(page: QWidget) -> list[QWidget]:
    """Where Tab leads from the page's start, until it comes round or is caught."""
    window = page.window()
    stops: list[QWidget] = []
    while len(stops) < MOST_STOPS:
        focused = QApplication.focusWidget()
        QTest.keyClick(window if focused is None else focused, Qt.Key.Key_Tab)
        focused = QApplication.focusWidget()
        if focused is None:
            break
        control = _control(focused)
        if control in stops:
            break
        stops.append(control)
    return stops


def missed(page: QWidget, stops: list[QWidget]) -> list[QWidget]:
    """Controls that the walk did not come to, and no arrow key leads to."""
    groups = {each.parentWidget() for each in stops if isinstance(each, QRadioButton)}
    return [
        each
        for each in interactive(page)
        if each not in stops
        and not (isinstance(each, QRadioButton) and each.parentWidget() in groups)
    ]


def mnemonics(page: QWidget) -> Counter[str]:
    """How often each letter is a mnemonic (Alt and it) of something to be seen."""
    texts = list(_texts_with_mnemonics(page))
    keys = (QKeySequence.mnemonic(text).toString() for text in texts)
    return Counter(key for key in keys if key)


def _texts_with_mnemonics(page: QWidget) -> Iterator[str]:
    for each in visible(page):
        if (isinstance(each, QLabel) and each.buddy() is not None) or isinstance(
            each, QAbstractButton
        ):
            yield each.text()
        elif isinstance(each, QGroupBox):
            yield each.title()
        elif isinstance(each, QTabBar):
            yield from (each.tabText(index) for index in range(each.count()))


def say(each: QWidget) -> str:
    """Which widget it is, for a person who reads of a failure."""
    path = [each]
    while (owner := path[-1].parentWidget()) is not None:
        path.append(owner)
    names = [name for each in path[1:] if (name := each.objectName())]
    return f"{type(each).__name__} {each.objectName()!r} in {' in '.join(names) or 'no name'}"
