"""What of a page is to be seen: its texts, what does not fit, what lies outside.

Rules: a text that is too long for its place is found whatever widget shows it; one that is
shortened on purpose has all of it in its tool tip. Tables are judged by their headers: what is in
their cells has any length.

Counterparts: `pseudo.py`; `test_looks.py` says what must be true of what is found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QAbstractItemModel, QModelIndex, QRect, QSize, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QComboBox,
    QGroupBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QTabBar,
    QWidget,
)

from tests.gui.walker import say, visible

__all__ = ["cut_off", "texts"]

SLACK: Final = 1
"""Pixels by which rounding may be wrong."""

BREAKS: Final = re.compile(r"(?<=[/-])|\s+")
"""Where a line may end."""

INSIDE: Final = 8
"""Pixels that a field has around its text, at least."""


def texts(page: QWidget) -> Iterator[tuple[str, str]]:
    """Every text of what is to be seen, tool tips and what is spoken included: where, text."""
    for each in visible(page):
        for text in (*_own_texts(each), *_spoken_texts(each), *_model_texts(each)):
            if text.strip():
                yield say(each), text


def _own_texts(each: QWidget) -> list[str]:
    match each:
        case QLabel() | QAbstractButton():
            return [each.text()]
        case QGroupBox():
            return [each.title()]
        case QTabBar():
            return [each.tabText(index) for index in range(each.count())]
        case QLineEdit():
            return [each.placeholderText()]
        case QComboBox():
            return [each.itemText(index) for index in range(each.count())]
    return []


def _spoken_texts(each: QWidget) -> list[str]:
    actions = [action.text() for action in each.actions()]
    return [each.toolTip(), each.accessibleName(), each.accessibleDescription(), *actions]


def _model_texts(each: QWidget) -> list[str]:
    if not isinstance(each, QAbstractItemView) or isinstance(each, QHeaderView):
        return []
    model = each.model()
    return list(_model_cells(model))


def _model_cells(model: QAbstractItemModel) -> Iterator[str]:
    columns = range(model.columnCount())
    for column in columns:
        yield _text(model.headerData(column, Qt.Orientation.Horizontal))
    for row in range(model.rowCount()):
        yield from (_text(model.index(row, column, QModelIndex()).data()) for column in columns)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def cut_off(page: QWidget) -> list[str]:
    """What does not fit where it is, or lies outside of what can be seen."""
    return [
        f"{say(each)}: {problem}"
        for each in visible(page)
        if each is not page and (problem := _too_small(each) or _outside(each))
    ]


def _too_small(each: QWidget) -> str:
    match each:
        case QLabel() if each.wordWrap():
            return _wrapped(each)
        case QLabel() | QAbstractButton() if each.text():
            return _compared(each, each.text(), each.sizeHint())
        case QTabBar() | QComboBox():
            return _compared(each, "its words", each.sizeHint())
        case QGroupBox():
            width = each.fontMetrics().horizontalAdvance(each.title())
            return _compared(each, each.title(), QSize(width, 0))
        case QLineEdit():
            width = each.fontMetrics().horizontalAdvance(each.placeholderText())
            return _compared(each, each.placeholderText(), QSize(width and width + INSIDE, 0))
        case QHeaderView():
            return _header(each)
        case QScrollArea() if each.horizontalScrollBar().maximum() > 0:
            return "has to be moved sideways"
    return ""


def _compared(each: QWidget, text: str, needed: QSize) -> str:
    missing = (needed - each.size()).boundedTo(QSize(9999, 9999))
    if missing.width() <= SLACK and missing.height() <= SLACK:
        return ""
    if text and text in each.toolTip():
        return ""
    return f"{text!r} needs {needed.toTuple()} and has {each.size().toTuple()}"


def _wrapped(label: QLabel) -> str:
    """Lines that do not fit, or a word that is longer than a line."""
    text = label.text()
    if not text:
        return ""
    words = [label.fontMetrics().horizontalAdvance(word) for word in BREAKS.split(text)]
    height = label.heightForWidth(label.width())
    return _compared(label, text, QSize(max(words, default=0), height))


def _header(header: QHeaderView) -> str:
    """Sections of which the title is shortened."""
    model = header.model()
    if header.orientation() != Qt.Orientation.Horizontal:
        return ""
    for section in range(header.count()):
        needed, has = header.sectionSizeHint(section), header.sectionSize(section)
        if not header.isSectionHidden(section) and needed > has + SLACK:
            title = _text(model.headerData(section, Qt.Orientation.Horizontal))
            return f"{title!r} needs {needed} and has {has}"
    return ""


def _outside(each: QWidget) -> str:
    """What its parent cuts off; what is scrolled is not."""
    parent = each.parentWidget()
    if parent is None or each.isWindow() or _is_scrolled_in(parent):
        return ""
    frame = QRect(each.pos(), each.size())
    if parent.rect().adjusted(-SLACK, -SLACK, SLACK, SLACK).contains(frame):
        return ""
    return f"lies at {frame.getCoords()} in {parent.rect().getCoords()}"


def _is_scrolled_in(parent: QWidget) -> bool:
    owner = parent.parentWidget()
    is_content = isinstance(owner, QAbstractScrollArea) and parent is owner.viewport()
    return is_content or isinstance(parent, QAbstractScrollArea | QHeaderView)
