"""The list of pages: by mouse, by keyboard and by ear. A heading in it cannot be chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from PySide6.QtCore import QEvent, QModelIndex, QPersistentModelIndex, QSize, Qt, Signal
from PySide6.QtGui import QFont, QPainter, QPalette, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFrame,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionFocusRect,
    QStyleOptionViewItem,
    QTreeView,
    QWidget,
)

from gui import icons
from gui.pages import PageKind

__all__ = ["Navigation"]

HEADING_OPACITY: Final = 0.7
"""Less than that of what can be chosen, and enough to be read: 5:1 and more in black on white."""

_NAME: Final = Qt.ItemDataRole.UserRole
_ICON: Final = Qt.ItemDataRole.UserRole + 1


class _Delegate(QStyledItemDelegate):
    """Indents within a row, so that the mark of the chosen one is whole; headings are legible."""

    def paint(
        self,
        painter: QPainter,
        option: QStyleOptionViewItem,
        index: QModelIndex | QPersistentModelIndex,
    ) -> None:
        """Draw the row, and the mark of the keyboard's focus around all of it."""
        has_focus = bool(option.state & QStyle.StateFlag.State_HasFocus)
        option.state &= ~QStyle.StateFlag.State_HasFocus
        super().paint(painter, option, index)
        if has_focus:
            mark = QStyleOptionFocusRect()
            mark.rect = option.rect
            mark.palette = option.palette
            mark.state = option.state | QStyle.StateFlag.State_KeyboardFocusChange
            option.widget.style().drawPrimitive(
                QStyle.PrimitiveElement.PE_FrameFocusRect, mark, painter, option.widget
            )

    def initStyleOption(  # noqa: N802 - Qt's name
        self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """See `QStyledItemDelegate.initStyleOption`."""
        super().initStyleOption(option, index)
        room = option.fontMetrics.height()
        side = option.decorationSize.height()
        option.features |= QStyleOptionViewItem.ViewItemFeature.HasDecoration
        option.decorationAlignment = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        if index.data(_NAME) is None:
            option.decorationSize = QSize(room // 4, side)
            option.state |= QStyle.StateFlag.State_Enabled
            quiet = option.palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.Text)
            quiet.setAlphaF(HEADING_OPACITY)
            option.palette.setColor(QPalette.ColorRole.Text, quiet)
            option.displayAlignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
        else:
            indent = room if index.parent().isValid() else room // 3
            option.decorationSize = QSize(side + indent, side)


class Navigation(QTreeView):
    """See the module. `chosen` with a page's name, when another is chosen by the person."""

    chosen = Signal(str)

    def __init__(self, kinds: Sequence[PageKind], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("navigation")
        self.setAccessibleName(self.tr("Pages"))
        self.setAccessibleDescription(self.tr("Choose what is shown beside this list"))
        self.setHeaderHidden(True)
        self.setRootIsDecorated(False)
        self.setItemsExpandable(False)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setIndentation(0)
        self.setItemDelegate(_Delegate(self))
        self._items: dict[str, QStandardItem] = {}
        self._headings: list[QStandardItem] = []
        model = QStandardItemModel(self)
        headings: dict[str, QStandardItem] = {}
        for kind in kinds:
            title = kind.heading()
            if title and title not in headings:
                headings[title] = self._heading(title)
                model.appendRow(headings[title])
            (headings[title] if title else model.invisibleRootItem()).appendRow(self._item(kind))
        self.setModel(model)
        self.expandAll()
        self._draw()
        self.selectionModel().currentChanged.connect(self._current_changed)

    def show_chosen(self, name: str) -> None:
        """Show which page is shown, without choosing it."""
        index = self._items[name].index()
        if index != self.currentIndex():
            self.selectionModel().blockSignals(True)
            self.setCurrentIndex(index)
            self.selectionModel().blockSignals(False)
            self.viewport().update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """As wide as the widest title, with room beside it."""
        return QSize(self.sizeHintForColumn(0), super().sizeHint().height())

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        """See `sizeHint`."""
        return QSize(self.sizeHint().width(), super().minimumSizeHint().height())

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        """See `QWidget.changeEvent`."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._size_rows()

    def _current_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        name = current.data(_NAME)
        if isinstance(name, str):
            self.chosen.emit(name)

    def _heading(self, title: str) -> QStandardItem:
        item = QStandardItem(title)
        item.setFlags(Qt.ItemFlag.NoItemFlags)
        font = QFont(self.font())
        font.setBold(True)
        item.setFont(font)
        self._headings.append(item)
        return item

    def _item(self, kind: PageKind) -> QStandardItem:
        item = QStandardItem(kind.title())
        item.setData(kind.name, _NAME)
        item.setData(kind.icon, _ICON)
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        self._items[kind.name] = item
        return item

    def _draw(self) -> None:
        for item in self._items.values():
            name = item.data(_ICON)
            item.setIcon(icons.icon(name, self.palette(), QPalette.ColorRole.Text))
        self._size_rows()

    def _size_rows(self) -> None:
        line = self.fontMetrics().height()
        for item in (*self._items.values(), *self._headings):
            width = self.fontMetrics().horizontalAdvance(item.text()) + 5 * line
            item.setSizeHint(QSize(width, 2 * line))
