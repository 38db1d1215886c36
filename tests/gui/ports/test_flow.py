"""A layout whose items flow onto the next line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QSizePolicy, QWidget
from pytestqt.qtbot import QtBot

from gui.ports.flow import FlowLayout


class Box(QWidget):
    """Of a size that is wanted."""

    def __init__(self, width: int, height: int, expands: bool = False) -> None:
        super().__init__()
        self._wanted = QSize(width, height)
        policy = QSizePolicy.Policy.Expanding if expands else QSizePolicy.Policy.Fixed
        self.setSizePolicy(policy, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return self._wanted


@pytest.fixture
def boxes(qtbot: QtBot) -> Iterator[tuple[FlowLayout, list[Box]]]:
    owner = QWidget()
    qtbot.addWidget(owner)
    layout = FlowLayout(owner)
    layout.setSpacing(5)
    boxes = [Box(100, 30), Box(60, 30, expands=True), Box(50, 30)]
    for box in boxes:
        layout.addWidget(box)
    yield layout, boxes
    assert layout.count() == len(boxes)


def places(boxes: list[Box]) -> list[tuple[int, int, int]]:
    """Left, top and width."""
    return [(box.x(), box.y(), box.width()) for box in boxes]


def test_what_fits_is_side_by_side_and_the_rest_is_for_who_expands(
    boxes: tuple[FlowLayout, list[Box]],
) -> None:
    layout, three = boxes
    layout.setGeometry(QRect(0, 0, 300, 30))
    assert places(three) == [(0, 0, 100), (105, 0, 140), (250, 0, 50)]
    assert layout.heightForWidth(300) == 30
    assert layout.sizeHint() == QSize(220, 30)


def test_what_does_not_fit_is_on_the_next_line(boxes: tuple[FlowLayout, list[Box]]) -> None:
    layout, three = boxes
    layout.setGeometry(QRect(0, 0, 170, 65))
    assert places(three) == [(0, 0, 100), (105, 0, 65), (0, 35, 50)]
    assert layout.heightForWidth(170) == 65


def test_what_is_hidden_takes_no_room(boxes: tuple[FlowLayout, list[Box]]) -> None:
    layout, three = boxes
    three[1].hide()
    layout.setGeometry(QRect(0, 0, 170, 30))
    assert places(three)[2] == (105, 0, 50)


def test_where_people_read_from_the_right_it_begins_there(
    boxes: tuple[FlowLayout, list[Box]],
) -> None:
    layout, three = boxes
    owner = layout.parentWidget()
    assert owner is not None
    owner.setLayoutDirection(Qt.LayoutDirection.RightToLeft)
    layout.setGeometry(QRect(0, 0, 300, 30))
    assert places(three) == [(200, 0, 100), (55, 0, 140), (0, 0, 50)]
