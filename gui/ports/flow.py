"""A layout like words of a text: side by side while there is room, else on the next line.

Rules: an item gets its `sizeHint`; what is left of a line goes to those that want to expand, in
equal parts. Nothing is cut off in a language with longer words, or in a narrow window.
"""

from __future__ import annotations

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget

__all__ = ["FlowLayout"]

Line = list[tuple[QLayoutItem, int]]
"""Items of a line, with their widths."""


class FlowLayout(QLayout):
    """See the module. Hidden widgets take no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._items: list[QLayoutItem] = []
        self.setContentsMargins(0, 0, 0, 0)

    def addItem(self, item: QLayoutItem) -> None:  # noqa: N802 - Qt's name
        """See `QLayout.addItem`."""
        self._items.append(item)

    def count(self) -> int:
        """See `QLayout.count`."""
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        """See `QLayout.itemAt`."""
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:  # noqa: N802
        """See `QLayout.takeAt`."""
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:  # noqa: N802 - Qt's name
        """See `QLayout.expandingDirections`."""
        return Qt.Orientation.Horizontal

    def hasHeightForWidth(self) -> bool:  # noqa: N802 - Qt's name
        """See `QLayoutItem.hasHeightForWidth`."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 - Qt's name
        """See `QLayoutItem.heightForWidth`."""
        heights = [_height(line) for line in self._lines(width)]
        return sum(heights) + self._gap * max(0, len(heights) - 1)

    def minimumSize(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QLayout.minimumSize`: that of the largest item."""
        size = QSize()
        for item in self._seen():
            size = size.expandedTo(item.minimumSize())
        return size

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `QLayout.sizeHint`: all on one line."""
        line = [(item, item.sizeHint().width()) for item in self._seen()]
        width = sum(width for _, width in line) + self._gap * max(0, len(line) - 1)
        return QSize(width, _height(line))

    def setGeometry(self, area: QRect) -> None:  # noqa: N802 - Qt's name
        """See `QLayout.setGeometry`."""
        super().setGeometry(area)
        owner, top = self.parentWidget(), area.top()
        is_mirrored = owner is not None and owner.isRightToLeft()
        for line in self._lines(area.width()):
            height = _height(line)
            left = area.left()
            for item, width in line:
                place = QRect(left, top, width, height)
                if is_mirrored:
                    place.moveRight(area.right() - (left - area.left()))
                item.setGeometry(place)
                left += width + self._gap
            top += height + self._gap

    @property
    def _gap(self) -> int:
        return max(0, self.spacing())

    def _seen(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        left = 0
        for item in self._seen():
            wanted = min(item.sizeHint().width(), max(width, item.minimumSize().width()))
            if not lines or left + wanted > width:
                lines.append([])
                left = 0
            lines[-1].append((item, wanted))
            left += wanted + self._gap
        return [self._stretched(line, width) for line in lines]

    def _stretched(self, line: Line, width: int) -> Line:
        """What is left of a line is for those that want it."""
        used = sum(wanted for _, wanted in line) + self._gap * (len(line) - 1)
        eager = [item for item, _ in line if item.expandingDirections() & Qt.Orientation.Horizontal]
        more = max(0, width - used) // max(1, len(eager))
        return [(item, wanted + more if item in eager else wanted) for item, wanted in line]


def _height(line: Line) -> int:
    heights = [
        item.heightForWidth(width) if item.hasHeightForWidth() else item.sizeHint().height()
        for item, width in line
    ]
    return max(heights, default=0)
