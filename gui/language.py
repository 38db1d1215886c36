"""The window's language: the system's if there are texts for it, else English.

Rules: texts in the source are English; `gui/text/samehost_LANGUAGE.qm` has those of a language.
English has a file, too, for its plurals. Words of Qt's own (buttons, menus of text fields) come
from Qt's translations.

Limits: what the daemon says is English.
Counterparts: `scripts/translations.py` collects the texts and builds those files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

__all__ = ["FOLDER", "install"]

FOLDER: Final = Path(__file__).parent / "text"
"""Where the translations are."""

ENGLISH: Final = QLocale(QLocale.Language.English)


def install(application: QCoreApplication, locale: QLocale) -> list[QTranslator]:
    """Have the window speak the language of `locale`. The result undoes it: remove each."""
    qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    wanted = [(ENGLISH, "samehost", str(FOLDER)), (locale, "qtbase", qt)]
    wanted.append((locale, "samehost", str(FOLDER)))  # what is installed last is asked first
    installed = []
    for language, name, folder in wanted:
        translator = QTranslator(application)
        if translator.load(language, name, "_", folder):
            application.installTranslator(translator)
            installed.append(translator)
        else:
            translator.deleteLater()
    return installed
