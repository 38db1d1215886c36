"""The window's texts: collected from its source, and built into what Qt reads.

    gui/**/*.py ─▶ gui/text/samehost_LANGUAGE.ts (translated by people) ─▶ gui/text/*.qm

    python -m scripts.translations      brings both up to date; says what is left to translate

Rules: texts that are gone are dropped; no line numbers, so that a file changes only if its texts
do. English has plurals only. Both are in the repository: neither `make up` nor a wheel needs tools.

Counterparts: `gui/language.py` loads them; `tests/gui/test_translations.py` says what is stale.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import PySide6

from desktop.errors import SamehostError

__all__ = ["LANGUAGES", "PROJECT", "TEXTS", "Message", "build", "collect", "main", "messages"]

PROJECT: Final = Path(__file__).parent.parent
TEXTS: Final = PROJECT / "gui" / "text"
ENGLISH: Final = "en"
LANGUAGES: Final = (ENGLISH, "de")


@dataclass(frozen=True, slots=True)
class Message:
    """A text of the source, and its translations: several if it depends on a number."""

    context: str
    source: str
    is_plural: bool
    state: str
    """"" for finished; else `unfinished`, `vanished` or `obsolete`."""
    translations: tuple[str, ...]


def main() -> int:
    """Bring all of them up to date."""
    left = 0
    for language in LANGUAGES:
        file = TEXTS / f"samehost_{language}.ts"
        collect(file, language)
        build(file, file.with_suffix(".qm"))
        for message in messages(file):
            if message.state:
                left += 1
                print(f"{file.name}: {message.state}: {message.context}: {message.source}")
    return 1 if left else 0


def collect(file: Path, language: str) -> None:
    """Put the texts of the window into `file`; translations that are there stay."""
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(sorted((PROJECT / "gui").rglob("*.py"))):
            Path(folder, f"{number:03}.py").write_bytes(_with_plurals(path.read_bytes()))
        _run(
            *("lupdate", "-silent", "-warnings-are-errors", "-no-obsolete", "-locations", "none"),
            *(["-pluralonly"] if language == ENGLISH else []),
            *("-source-language", ENGLISH, "-target-language", language),
            *("-tr-function-alias", "translate+=_translate"),
            *("-extensions", "py", folder, "-ts", str(file)),
        )


def _with_plurals(source: bytes) -> bytes:
    """The source, with Qt 4's fourth argument of `translate` before the number.

    Only so does lupdate (6.11) see in Python that a text depends on a number.
    """
    lines = source.splitlines(keepends=True)
    numbers = [
        call.args[3]
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and "translate" in (getattr(call.func, "attr", ""), getattr(call.func, "id", ""))
        and len(call.args) > 3
    ]
    for number in sorted(numbers, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line = lines[number.lineno - 1]
        before, after = line[: number.col_offset], line[number.col_offset :]
        lines[number.lineno - 1] = before + b"QCoreApplication.UnicodeUTF8, " + after
    return b"".join(lines)


def build(file: Path, built: Path) -> None:
    """Build what Qt reads. Texts that are not translated are left out of it."""
    _run("lrelease", "-silent", str(file), "-qm", str(built))


def messages(file: Path) -> Iterator[Message]:
    """What is in such a file."""
    for context in ET.parse(file).getroot().iter("context"):
        for message in context.iter("message"):
            translation = message.find("translation")
            if translation is None:
                raise SamehostError(f"{file.name} has a text without a translation element")
            forms = [form.text or "" for form in translation.iter("numerusform")]
            yield Message(
                context.findtext("name", ""),
                message.findtext("source", ""),
                message.get("numerus") == "yes",
                translation.get("type", ""),
                tuple(forms or [translation.text or ""]),
            )


def _run(tool: str, *arguments: str) -> None:
    program = shutil.which(tool, path=Path(PySide6.__file__).parent)
    if program is None:
        raise SamehostError(f"PySide6 has no {tool} here", "scripts/setup python")
    result = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        raise SamehostError(f"{tool} failed: {(result.stderr or result.stdout).strip()}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SamehostError as error:
        sys.exit(str(error))
