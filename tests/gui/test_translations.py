"""Translations: complete, up to date, with the same places for values as in English."""

from __future__ import annotations

import ast
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hatchling.builders.wheel import WheelBuilder
from PySide6.QtCore import QCoreApplication, QLocale, Qt
from PySide6.QtWidgets import QApplication

from gui import language
from scripts import translations
from scripts.translations import LANGUAGES, TEXTS, Message

TRANSLATED: Final = tuple(each for each in LANGUAGES if each != "en")
PLACES: Final = re.compile(r"\{[^{}]*\}|%n|%L?\d+|<[^>]+>|`[^`]*`")
"""Where values stand in a text, and what must not be translated."""

TRANSLATING: Final = r"\w+\.tr|(Q(Core)?Application\.|_?)translate"
"""Calls for a translation."""

GERMAN: Final = QLocale(QLocale.Language.German)
UPDATE: Final = "python -m scripts.translations"


def messages(name: str) -> list[Message]:
    return list(translations.messages(TEXTS / f"samehost_{name}.ts"))


@pytest.mark.parametrize("name", LANGUAGES)
def test_the_files_are_what_the_tools_make_of_the_source(name: str, tmp_path: Path) -> None:
    file = TEXTS / f"samehost_{name}.ts"
    again = Path(shutil.copy(file, tmp_path))
    translations.collect(again, name)
    assert again.read_text() == file.read_text(), f"texts have changed: {UPDATE}"
    translations.build(file, tmp_path / "built.qm")
    built = file.with_suffix(".qm").read_bytes()
    assert (tmp_path / "built.qm").read_bytes() == built, f"texts were not built: {UPDATE}"


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_text_is_translated(name: str) -> None:
    found = [
        f"{each.context}: {each.source}"
        for each in messages(name)
        if each.state or not all(each.translations)
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_text_with_a_number_has_a_plural(name: str) -> None:
    found = [each.source for each in messages(name) if "%n" in each.source and not each.is_plural]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", LANGUAGES)
def test_translations_have_the_same_places_for_values(name: str) -> None:
    found = [
        f"{each.context}: {each.source} → {text}"
        for each in messages(name)
        for text in each.translations
        if Counter(PLACES.findall(text)) != Counter(PLACES.findall(each.source))
    ]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize("name", TRANSLATED)
def test_translations_have_a_mnemonic_and_end_as_the_source_does(name: str) -> None:
    found = [
        f"{each.context}: {each.source} → {text}"
        for each in messages(name)
        for text in each.translations
        if shape(text) != shape(each.source)
    ]
    assert not found, "\n" + "\n".join(found)


def shape(text: str) -> tuple[int, str, str]:
    """Number of mnemonics, blanks around it, and the sign at its end."""
    blanks = re.sub(r"\S.*\S|\S", "_", text, flags=re.DOTALL)
    end = text.strip()[-1:]
    return len(re.findall(r"&[^& ]", text)), blanks, end if end in ".:…?!" else ""


def test_texts_that_the_source_has_are_literal_so_that_the_tools_see_them() -> None:
    found = {(each.context, each.source) for each in messages("de")}
    missing = [
        f"{place}: {context}: {text}"
        for place, context, text in texts()
        if (context, text) not in found
    ]
    assert not missing, "\n" + "\n".join(missing)


def texts() -> Iterator[tuple[str, str, str | None]]:
    """Every call for a translation in the source: where, context, text (None: not literal)."""
    for path in sorted((translations.PROJECT / "gui").rglob("*.py")):
        tree = ast.parse(path.read_bytes())
        for context, call in calls(tree, ""):
            arguments = [getattr(each, "value", None) for each in call.args]
            place = f"{path.relative_to(translations.PROJECT)}:{call.lineno}"
            if ast.unparse(call.func).endswith("tr"):
                yield place, context, arguments[0]
            else:
                yield place, str(arguments[0]), arguments[1]


def calls(node: ast.AST, context: str) -> Iterator[tuple[str, ast.Call]]:
    """Calls of `tr` and `translate`, with the class they are in."""
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.ClassDef) else context
        if isinstance(child, ast.Call) and re.fullmatch(TRANSLATING, ast.unparse(child.func)):
            yield context, child
        yield from calls(child, inside)


def test_a_german_window_speaks_german_with_words_of_qts_own_too(qapp: QApplication) -> None:
    installed = language.install(qapp, GERMAN)
    try:
        first = next(each for each in messages("de") if not each.is_plural)
        translated = QCoreApplication.translate(first.context, first.source)
        assert translated == first.translations[0]
        assert QCoreApplication.translate("QPlatformTheme", "Cancel") == "Abbrechen"
    finally:
        for each in installed:
            qapp.removeTranslator(each)


@pytest.mark.parametrize("locale", [QLocale.c(), QLocale(QLocale.Language.Finnish)])
def test_where_there_is_no_translation_english_plurals_are_right(
    qapp: QApplication, locale: QLocale
) -> None:
    installed = language.install(qapp, locale)
    try:
        each = next(each for each in messages("en") if each.is_plural)
        one, more = (QCoreApplication.translate(each.context, each.source, "", n) for n in (1, 2))
        assert (one, more) == tuple(
            text.replace("%n", str(n)) for n, text in enumerate(each.translations, 1)
        )
    finally:
        for translator in installed:
            qapp.removeTranslator(translator)


@pytest.mark.parametrize("name", ["ar_EG", "he_IL", "fr_FR"])
def test_an_english_window_is_english_throughout_and_its_lines_begin_on_the_left(
    qapp: QApplication, name: str
) -> None:
    installed = language.install(qapp, QLocale(name))
    try:
        assert QCoreApplication.translate("QPlatformTheme", "Cancel") == "Cancel"
        assert qapp.layoutDirection() is Qt.LayoutDirection.LeftToRight
    finally:
        for translator in installed:
            qapp.removeTranslator(translator)


@pytest.mark.parametrize(
    ("name", "written", "size"),
    [
        ("de_DE", "1.234", "2,0 kB"),
        ("pl_PL", "1234", "2,0 kB"),
        ("ar_EG", "1,234", "2.0 kB"),
        ("he_IL", "1,234", "2.0 kB"),
        ("bn_BD", "1,234", "2.0 kB"),
    ],
)
def test_numbers_and_units_are_as_the_system_has_them_or_in_english_letters(
    name: str, written: str, size: str
) -> None:
    locale = language.formats(QLocale(name))
    assert locale.toString(1234) == written
    kind = QLocale.DataSizeFormat.DataSizeSIFormat
    assert locale.formattedDataSize(2000, 1, kind) == size


def test_a_wheel_has_what_qt_reads_and_not_what_people_write() -> None:
    files = WheelBuilder(str(translations.PROJECT)).recurse_included_files()
    shipped = {file.distribution_path for file in files}
    assert {f"gui/text/samehost_{name}.qm" for name in LANGUAGES} <= shipped
    assert not any(name.endswith(".ts") for name in shipped)
