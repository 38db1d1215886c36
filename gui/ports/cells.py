"""What the cells of the port table answer, role by role: text, icon, side, tip, words to speak.

Rules: no model, no view. A state or direction is an icon and a word, never a colour. Qt guesses of
a tool tip whether it is HTML, so it gets HTML that shows the text as it is. Counterparts:
`columns.py` has the words, `model.py` hands the answers on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon, QPalette

from gui import icons
from gui.parts import plain
from gui.ports.columns import NUMBERS, Column, Entry, Words, badge

__all__ = ["DIRECTION_ICONS", "LEFT", "RIGHT", "Cells"]

RIGHT: Final = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT: Final = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
DIRECTION_ICONS: Final = {"machine": "arrow-in", "host": "arrow-out"}


class Cells:
    """Answers for the entries of one table. `wall` is the UNIX time that ages are counted to."""

    def __init__(self) -> None:
        self.words = Words()
        self.wall = 0.0
        self._palette = QPalette()
        self._icons: dict[str, QIcon] = {}
        self.answers: Mapping[int, Callable[[Column, Entry], Any]] = {
            Qt.ItemDataRole.DisplayRole: self.text,
            Qt.ItemDataRole.DecorationRole: self.icon,
            Qt.ItemDataRole.TextAlignmentRole: self.alignment,
            Qt.ItemDataRole.ToolTipRole: self.tip,
            Qt.ItemDataRole.AccessibleTextRole: self.spoken,
        }

    def set_palette(self, palette: QPalette) -> None:
        """Draw icons in its colours from now on."""
        self._palette = palette
        self._icons.clear()

    def text(self, column: Column, entry: Entry) -> str:
        """What is written there."""
        return self.words.text(column, entry, self.wall)

    def spoken(self, column: Column, entry: Entry) -> str:
        """What a screen reader says: also that nothing moves, and that a guarded port is open."""
        if column is Column.INTO:
            return self.words.rate(entry.rate.into)
        if column is Column.OUT:
            return self.words.rate(entry.rate.out)
        if column is Column.STATE:
            return self.words.spoken_state(entry.row)
        return self.text(column, entry)

    def icon(self, column: Column, entry: Entry) -> QIcon | None:
        """The icon before the text, if there is one."""
        if column is Column.STATE:
            return self._named(badge(entry.row))
        if column in (Column.HOST, Column.DIRECTION):
            return self._named(DIRECTION_ICONS.get(entry.row.origin, ""))
        return None

    def alignment(self, column: Column, _: Entry) -> Qt.AlignmentFlag:
        """The side at which it stands."""
        return RIGHT if column in NUMBERS else LEFT

    def tip(self, column: Column, entry: Entry) -> str:
        """Why the row is as it is; else the text, which may be cut off."""
        text = entry.row.reason or self.text(column, entry)
        return f"<p>{escape(plain(text))}</p>" if text else ""

    def _named(self, name: str) -> QIcon | None:
        if name not in self._icons:
            if name not in icons.NAMES:
                return None
            self._icons[name] = icons.icon(name, self._palette, QPalette.ColorRole.Text)
        return self._icons[name]
