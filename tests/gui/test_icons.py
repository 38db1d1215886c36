"""Icons: every one draws something, in the colours of the palette, and follows it."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QImage, QPalette
from PySide6.QtWidgets import QLabel, QToolButton
from pytestqt.qtbot import QtBot

from gui import icons

pytestmark = pytest.mark.usefixtures("qapp")

LIGHT = QPalette(QColor("#efefef"))
DARK = QPalette(QColor("#303033"))


def colours(image: QImage) -> set[str]:
    """The colours of all pixels that are not see-through at all."""
    pixels = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    return {pixel.name() for pixel in pixels if pixel.alpha() == 255}


def has_a_ground(name: str) -> bool:
    return name == "samehost" or name.startswith("tile-")


def drawn(icon: QIcon, mode: QIcon.Mode = QIcon.Mode.Normal) -> QImage:
    return icon.pixmap(QSize(64, 64), mode).toImage()


@pytest.mark.parametrize("name", icons.NAMES)
def test_every_icon_draws_something(name: str) -> None:
    assert colours(drawn(icons.icon(name, LIGHT)))


def test_no_two_icons_look_the_same() -> None:
    images = [drawn(icons.icon(name, LIGHT)) for name in icons.NAMES]
    same = [
        (icons.NAMES[first], icons.NAMES[second])
        for first in range(len(images))
        for second in range(first)
        if images[first] == images[second]
    ]
    assert same == []


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", [name for name in icons.NAMES if not has_a_ground(name)])
def test_an_icon_has_one_colour_that_of_the_text(name: str, palette: QPalette) -> None:
    text = palette.color(QPalette.ColorRole.WindowText).name()
    assert colours(drawn(icons.icon(name, palette))) == {text}


def test_a_disabled_icon_has_the_colour_of_disabled_text() -> None:
    disabled = QPalette(LIGHT)
    disabled.setColor(
        QPalette.ColorGroup.Disabled, QPalette.ColorRole.WindowText, QColor("#a1b2c3")
    )
    assert colours(drawn(icons.icon("lock", disabled), QIcon.Mode.Disabled)) == {"#a1b2c3"}


def test_a_selected_icon_has_the_colour_of_selected_text() -> None:
    palette = QPalette(LIGHT)
    palette.setColor(QPalette.ColorRole.HighlightedText, QColor("#fedcba"))
    assert colours(drawn(icons.icon("ports", palette), QIcon.Mode.Selected)) == {"#fedcba"}


def test_a_pixmap_for_a_finer_screen_has_more_pixels() -> None:
    fine = icons.pixmap("machine", LIGHT, 16, 2.0)
    assert (fine.width(), fine.devicePixelRatio()) == (32, 2.0)


def test_asking_again_draws_nothing_again() -> None:
    first = icons.icon("copy", LIGHT)
    assert icons.icon("copy", QPalette(LIGHT)).cacheKey() == first.cacheKey()


def test_a_kept_icon_follows_the_palette(qtbot: QtBot) -> None:
    button = QToolButton()
    qtbot.addWidget(button)
    icons.keep(button, "search")
    button.setPalette(DARK)
    assert colours(drawn(button.icon())) == {DARK.color(QPalette.ColorRole.WindowText).name()}


def test_a_kept_icon_gives_way_to_the_next(qtbot: QtBot) -> None:
    button = QToolButton()
    qtbot.addWidget(button)
    icons.keep(button, "copy")
    icons.keep(button, "active")
    button.setPalette(DARK)
    assert button.icon().cacheKey() == icons.icon("active", button.palette()).cacheKey()


def test_what_is_no_button_says_how_it_takes_an_icon(qtbot: QtBot) -> None:
    label = QLabel()
    qtbot.addWidget(label)
    with pytest.raises(TypeError, match="set_icon"):
        icons.keep(label, "lock")
    taken: list[QIcon] = []
    icons.keep(label, "lock", taken.append)
    assert len(taken) == 1


def test_a_name_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        icons.icon("no-such-icon", LIGHT)
