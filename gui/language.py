"""The window's language: the system's if there are texts for it, else English.

Rules: texts in the source are English; `gui/text/samehost_LANGUAGE.qm` has those of a language.
English has a file, too, for its plurals. Words of Qt's own (buttons, menus of text fields) come
from Qt's translations, of that language only: they also say on which side lines begin.

Limits: what the daemon says is English.
Counterparts: `scripts/translations.py` collects the texts and builds those files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, Qt, QTranslator

__all__ = ["FOLDER", "formats", "install"]

FOLDER: Final = Path(__file__).parent / "text"
"""Where the translations are."""

ENGLISH: Final = QLocale(QLocale.Language.English)
LEFT_TO_RIGHT: Final = Qt.LayoutDirection.LeftToRight


def install(application: QCoreApplication, locale: QLocale) -> list[QTranslator]:
    """Have the window speak the language of `locale`. The result undoes it: remove each."""
    qt = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    ours = _loaded(locale, "samehost", str(FOLDER))
    found = [_loaded(ENGLISH, "samehost", str(FOLDER))]
    if ours is not None:
        found += [_loaded(QLocale(ours.language()), "qtbase", qt), ours]
    installed = [translator for translator in found if translator is not None]
    for translator in installed:  # what is installed last is asked first
        translator.setParent(application)
        application.installTranslator(translator)
    return installed


def formats(locale: QLocale) -> QLocale:
    """How numbers and times are written: as `locale` does, if English words can stand around it.

    Digits, and units such as those of bytes, are in the locale's own letters.
    """
    is_latin = locale.zeroDigit() == "0" and locale.textDirection() is LEFT_TO_RIGHT
    if is_latin or _loaded(locale, "samehost", str(FOLDER)) is not None:
        return locale
    return QLocale(QLocale.Language.English, QLocale.Country.World)


def _loaded(locale: QLocale, name: str, folder: str) -> QTranslator | None:
    """The texts of that name in the first language of `locale` that has some."""
    translator = QTranslator()
    return translator if translator.load(locale, name, "_", folder) else None
