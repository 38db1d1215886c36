"""One look of the window wherever it is tested: no screen, one font, one style, one language.

Rules: `prepare` before the application is made, `dress` right after. The screen that is not there
is large enough for the window at two pixels each (`offscreen.json`).

Counterparts: `conftest.py`, `pictures.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from PySide6.QtCore import QLocale
from PySide6.QtGui import QFont, QFontDatabase
from PySide6.QtWidgets import QApplication

from gui import language

__all__ = ["ARGUMENTS", "dress", "prepare"]

ARGUMENTS: Final = ("samehost", "-style", "Fusion")
"""Of the application."""

SCREEN: Final = Path(__file__).with_name("offscreen.json")
FAMILIES: Final = ("DejaVu Sans", "Helvetica", "Arial")
"""The first that is here is taken: `scripts/setup gui` sees to it that DejaVu is, macOS has the
second and Windows the third. On macOS Qt warns of a family that there is not."""
POINTS: Final = 10

LEFT_OUT: Final = ("QT_STYLE_OVERRIDE", "QT_QPA_PLATFORMTHEME", "LANGUAGE")
"""Variables by which this computer's look would get in."""


def prepare() -> None:
    """Set the environment that Qt reads when the application is made."""
    os.environ["QT_QPA_PLATFORM"] = f"offscreen:configfile={_place(str(SCREEN))}"
    os.environ["LC_ALL"] = "C.UTF-8"
    fonts = Path(os.environ.get("SYSTEMROOT", os.devnull), "Fonts")
    if fonts.is_dir():  # Windows', of which Qt knows nothing where it draws on no screen
        os.environ.setdefault("QT_QPA_FONTDIR", str(fonts))
    for name in LEFT_OUT:
        os.environ.pop(name, None)


def _place(path: str) -> str:
    """As Qt takes it, for which a colon, as of a drive, ends an argument: from this folder."""
    return os.path.relpath(path) if ":" in path else path


def dress(application: QApplication) -> None:
    """One font, one language, and no cursor that blinks."""
    QLocale.setDefault(QLocale.c())
    language.install(application, QLocale.c())
    here = QFontDatabase.families()
    family = next((each for each in FAMILIES if each in here), QFont().family())
    application.setFont(QFont(family, POINTS))
    application.setCursorFlashTime(0)
    application.setQuitOnLastWindowClosed(False)
