"""Pictures of every case, in light and dark: for people to look at, and for the documentation.

    python -m tests.gui.pictures FOLDER [CASE…]     with QT_SCALE_FACTOR=2 for screens twice as fine

Rules: the same look as in the tests. A picture is called CASE-light-1x.png. What is shown of time
is of this moment: pictures are never compared with older ones.

Counterparts: `cases.py`; `test_pictures.py` makes and judges them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from PySide6.QtCore import QPoint, QRect
from PySide6.QtGui import QColor, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QApplication

from tests.gui.cases import CASES, FOR_DOCUMENTATION, Look, shown
from tests.gui.dress import ARGUMENTS, dress, prepare

__all__ = ["PALETTES", "dark", "light", "take"]

_Role = QPalette.ColorRole
_Group = QPalette.ColorGroup


def light() -> QPalette:
    """The palette of Qt's own style on a light desktop."""
    return _palette("#efefef", "#ffffff", "#000000", "#bebebe", "#308cc6")


def dark() -> QPalette:
    """The same on a dark one."""
    return _palette("#323232", "#242424", "#f0f0f0", "#828282", "#308cc6")


def _palette(window: str, base: str, text: str, disabled: str, accent: str) -> QPalette:
    palette = QPalette(QColor(window), QColor(window))
    for role in (_Role.WindowText, _Role.Text, _Role.ButtonText, _Role.ToolTipText):
        palette.setColor(role, QColor(text))
        palette.setColor(_Group.Disabled, role, QColor(disabled))
    faint = QColor(text)
    faint.setAlpha(128)
    palette.setColor(_Role.PlaceholderText, faint)
    palette.setColor(_Role.Base, QColor(base))
    palette.setColor(_Role.AlternateBase, QColor(window))
    palette.setColor(_Role.ToolTipBase, QColor(base))
    palette.setColor(_Role.Highlight, QColor(accent))
    palette.setColor(_Role.HighlightedText, QColor("white"))
    palette.setColor(_Role.Link, QColor(accent))
    return palette


PALETTES: Final = {"light": light, "dark": dark}


def take(folder: Path, names: Sequence[str]) -> None:
    """Take the pictures of these cases; the application is there and dressed."""
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    for name, palette in PALETTES.items():
        application.setPalette(palette())
        for case in (*CASES, *FOR_DOCUMENTATION):
            if case.name in names:
                with shown(case) as look:
                    picture = _grab(look)
                    scale = round(picture.devicePixelRatio())
                    picture.save(str(folder / f"{case.name}-{name}-{scale}x.png"))


def _grab(look: Look) -> QPixmap:
    """The window, with the dialog that is open in its middle."""
    picture = look.window.grab()
    if look.surface is not look.window:
        dialog = look.surface.grab()
        rest = (look.window.size() - look.surface.size()) / 2
        painter = QPainter(picture)
        painter.drawPixmap(rest.width(), rest.height(), dialog)
        painter.drawRect(QRect(QPoint(rest.width(), rest.height()), look.surface.size()))
        painter.end()
    return picture


def main() -> None:
    """See the module."""
    prepare()
    application = QApplication(list(ARGUMENTS))
    dress(application)
    folder, *names = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    take(Path(folder), names or [case.name for case in CASES])


if __name__ == "__main__":
    main()
