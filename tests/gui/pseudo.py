"""A language that nobody speaks: longer than English, in brackets, and all of it made here.

Rules: places for values, mnemonics and tags stay as they are. What is to be seen without brackets
was not translated; what does not fit in this language does not fit in another.

Counterparts: `looks.py` looks for both; `test_looks.py`.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator
from typing import Final

from PySide6.QtCore import QCoreApplication, QTranslator

__all__ = ["PLACES", "pseudo", "pseudo_language"]

PLACES: Final = re.compile(r"\{[^{}]*\}|%n|%L?\d+|<[^>]+>|&(?:&|.)")
"""What stays as it is."""

LONGER: Final = 1.4
"""Short texts grow by more in other languages, long ones by less: this is for all."""

ACCENTED: Final = str.maketrans(
    {"a": "áa", "e": "éë", "i": "îi", "o": "öó", "u": "úu", "A": "Åa", "E": "Éé", "I": "Îi"}
    | {"O": "Öo", "U": "Úu", "c": "ç", "n": "ñ", "s": "š", "y": "ÿ"}
)
KEYS: Final = "QShortcut"
"""The context of names of keys, which Qt reads as well as shows."""


def pseudo(text: str) -> str:
    """The text in that language."""
    parts = re.split(f"({PLACES.pattern})", text)
    words = [part if index % 2 else part.translate(ACCENTED) for index, part in enumerate(parts)]
    grown = "".join(words)
    missing = math.ceil(len(text) * LONGER) - len(grown) - 2
    return f"[{grown}{'~' * missing}]"


class _Pseudo(QTranslator):
    def isEmpty(self) -> bool:  # noqa: N802 - Qt's name
        """See `QTranslator.isEmpty`."""
        return False

    def translate(
        self,
        context: str | bytes,
        source_text: str | bytes,
        disambiguation: str | bytes | None = None,
        n: int = -1,
    ) -> str:
        """See `QTranslator.translate`."""
        assert disambiguation is not None or n is not None
        text = source_text.decode() if isinstance(source_text, bytes) else str(source_text)
        return text if _text(context) == KEYS or not text.strip() else pseudo(text)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@contextlib.contextmanager
def pseudo_language() -> Iterator[None]:
    """Have all texts that are made meanwhile be in that language."""
    translator = _Pseudo()
    application = QCoreApplication.instance()
    assert application is not None
    application.installTranslator(translator)
    try:
        yield
    finally:
        application.removeTranslator(translator)
