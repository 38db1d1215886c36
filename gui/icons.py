"""Icons, drawn by name in the colours of a palette: they follow light, dark and high contrast.

    icons.icon("lock", self.palette())                  a QIcon, sharp at every scale
    icons.keep(button, "copy")                          and again whenever the palette changes
    icons.pixmap("warning", self.palette(), 16, dpr)    for those who paint

Rules: a shape tells the meaning, colour never does; one colour, that of the text beside it, so an
icon is as legible as that. Icons are cached by name and colour: asking again costs a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from PySide6.QtCore import QByteArray, QEvent, QObject, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QWidget

__all__ = ["NAMES", "icon", "keep", "pixmap", "svg"]

SIZES: Final = (16, 24, 32, 48, 64, 128)
"""Pixels of the squares in an icon: those of lists, tool bars and windows, at scales up to 2."""

_FRAME: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{ink}" '
    'stroke-width="1.4" stroke-linecap="round" stroke-linejoin="round">{shapes}</svg>'
)
_CIRCLE: Final = '<circle cx="8" cy="8" r="6.2"/>'
_TILE: Final = (
    '<rect x=".7" y=".7" width="14.6" height="14.6" rx="3.4" fill="{{ground}}" stroke="none" '
    'fill-opacity="{opacity}"/><g stroke="{{sign}}" stroke-width="1.3"><rect x="3.2" y="3.8" '
    'width="9.6" height="6.8" rx="1.2"/><path d="M6.2 12.8h3.6"/>{sign_shapes}</g>'
)
_SCREEN: Final = '<rect x="1.5" y="2.2" width="13" height="9.2" rx="1.6"/><path d="M5.2 14h5.6"/>'

_SHAPES: Final[Mapping[str, str]] = {
    # Directions, as this computer sees them.
    "arrow-in": '<path d="M1.8 8h7.7M6.6 5l3 3-3 3M9.5 2.6h4.2v10.8H9.5"/>',
    "arrow-out": '<path d="M6.5 2.6H2.3v10.8h4.2M6.2 8h8M11.3 5l3 3-3 3"/>',
    # States of a port.
    "active": _CIRCLE + '<path d="M5.2 8.3l2 2 3.7-4.3"/>',
    "pending": _CIRCLE + '<path d="M8 4.6V8l2.3 1.5"/>',
    "conflict": '<path fill="{ink}" fill-rule="evenodd" stroke="none" d="M8 1.2a6.8 6.8 0 1 1 0 '
    "13.6A6.8 6.8 0 0 1 8 1.2zM6 4.9L4.9 6l2 2-2 2L6 11.1l2-2 2 2 1.1-1.1-2-2 2-2L10 4.9l-2 "
    '2z"/>',
    "denied": _CIRCLE + '<path d="M3.7 3.7l8.6 8.6"/>',
    "ignored": '<circle cx="8" cy="8" r="6.2" stroke-dasharray="1.6 2.3"/><path d="M5.4 8h5.2"/>',
    "paused": _CIRCLE + '<path d="M6.3 5.6v4.8M9.7 5.6v4.8"/>',
    "guarded": '<path d="M8 1.7l5.3 1.9v3.9c0 3.3-2.3 5.6-5.3 6.8-3-1.2-5.3-3.5-5.3-6.8V3.6z'
    'M5.5 7.9l1.8 1.8 3.2-3.6"/>',
    # Messages.
    "info": _CIRCLE + '<path d="M8 7.4v3.6M8 4.9v.1"/>',
    "warning": '<path d="M8 1.9l6.4 11.6H1.6zM8 6.3v3.2M8 11.5v.1"/>',
    "lock": '<rect x="3" y="7" width="10" height="7" rx="1.4"/><path d="M5 7V5a3 3 0 0 1 6 0v2'
    'M8 9.8v1.6"/>',
    # What one can do.
    "copy": '<rect x="5.4" y="5.4" width="8.4" height="8.4" rx="1.4"/><path d="M10.6 5.2V3.6a1.4 '
    '1.4 0 0 0-1.4-1.4H3.6a1.4 1.4 0 0 0-1.4 1.4v5.6a1.4 1.4 0 0 0 1.4 1.4h1.6"/>',
    "open": '<path d="M9.4 2.2h4.4v4.4M13.6 2.4L7.6 8.4M6.4 3.4H3.6a1.4 1.4 0 0 0-1.4 1.4v7.6a1.4 '
    '1.4 0 0 0 1.4 1.4h7.6a1.4 1.4 0 0 0 1.4-1.4V9.6"/>',
    "search": '<circle cx="7" cy="7" r="4.6"/><path d="M10.4 10.4l3.6 3.6"/>',
    "refresh": '<path d="M13.4 8A5.4 5.4 0 1 1 11.8 4.2L13.6 6M13.8 2.6V6h-3.4"/>',
    "add": '<path d="M8 3v10M3 8h10"/>',
    "close": '<path d="M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6"/>',
    "remove": '<path d="M3 8h10"/>',
    "start": '<path d="M4.6 2.8l8 5.2-8 5.2z"/>',
    "stop": '<rect x="3.4" y="3.4" width="9.2" height="9.2" rx="1.2"/>',
    # Pages.
    "general": '<path d="M2 4.4h6.4M12.2 4.4H14M2 11.6h1.8M7.6 11.6H14"/>'
    '<circle cx="10.3" cy="4.4" r="1.9"/><circle cx="5.7" cy="11.6" r="1.9"/>',
    "network": '<circle cx="8" cy="3.2" r="1.9"/><circle cx="3.2" cy="12.4" r="1.9"/>'
    '<circle cx="12.8" cy="12.4" r="1.9"/><path d="M7.1 5L4.1 10.7M8.9 5l3 5.7M5.1 12.4h5.8"/>',
    "ports": '<path d="M5.4 1.8v3M10.6 1.8v3M3.4 4.8h9.2v2.6a4.6 4.6 0 0 1-9.2 0zM8 12v2.4"/>',
    "machine": '<rect x="2" y="2.4" width="12" height="4.8" rx="1.2"/>'
    '<rect x="2" y="8.8" width="12" height="4.8" rx="1.2"/>'
    '<path d="M4.6 4.8h.1M4.6 11.2h.1M8 4.8h3.4M8 11.2h3.4"/>',
    "about": '<path d="M2.4 3h11.2v8.2H8.4L5.2 14v-2.8H2.4zM8 6.9v1.7M8 5v.1"/>',
    # Samehost itself: one screen, and "is the same".
    "samehost": _TILE.format(opacity=1, sign_shapes='<path d="M5.8 6.3h4.4M5.8 8.2h4.4"/>'),
    # In a tray whose colour nobody tells: on a ground of its own.
    "tile-on": _TILE.format(
        opacity=1, sign_shapes='<path stroke-width="1.5" d="M5.4 6.2h5.2M5.4 8.3h5.2"/>'
    ),
    "tile-off": _TILE.format(opacity=0.6, sign_shapes='<path d="M2.6 14L13.4 2"/>'),
    "tile-problem": _TILE.format(
        opacity=1, sign_shapes='<path stroke-width="1.7" d="M8 5.2v2M8 9v.1"/>'
    ),
    # In a menu bar that draws them in its own colour.
    "tray-on": _SCREEN + '<path stroke-width="1.7" d="M5 5.6h6M5 8.4h6"/>',
    "tray-off": _SCREEN + '<path d="M1.6 15L14.4 1"/>',
    "tray-problem": _SCREEN + '<path stroke-width="1.9" d="M8 4.5v2.9M8 9.3v.1"/>',
}

NAMES: Final = tuple(_SHAPES)
"""All icons that there are."""

_MODES: Final = (
    (QIcon.Mode.Normal, QPalette.ColorGroup.Active),
    (QIcon.Mode.Disabled, QPalette.ColorGroup.Disabled),
)


def icon(
    name: str, palette: QPalette, role: QPalette.ColorRole = QPalette.ColorRole.WindowText
) -> QIcon:
    """The icon in the colour that text of `role` has: normal, disabled and selected.

    Raises KeyError for a name that is not in NAMES.
    """
    colours = [palette.color(group, role) for _, group in _MODES]
    colours.append(palette.color(QPalette.ColorGroup.Active, QPalette.ColorRole.HighlightedText))
    ground, sign = _of_the_sign(palette)
    return _icon(name, *(colour.rgba() for colour in colours), ground, sign)


def pixmap(
    name: str,
    palette: QPalette,
    size: int,
    ratio: float = 1.0,
    role: QPalette.ColorRole = QPalette.ColorRole.WindowText,
) -> QPixmap:
    """A square of `size` device-independent pixels, for a screen of that pixel ratio."""
    ink = palette.color(QPalette.ColorGroup.Active, role).rgba()
    drawn = _pixmap(name, round(size * ratio), ink, *_of_the_sign(palette))
    drawn.setDevicePixelRatio(ratio)
    return drawn


def svg(name: str, ink: str, ground: str, sign: str) -> bytes:
    """The drawing of an icon with its colours, as SVG names them."""
    shapes = _SHAPES[name].format(ink=ink, ground=ground, sign=sign)
    return _FRAME.format(ink=ink, shapes=shapes).encode()


def keep(
    widget: QWidget,
    name: str,
    set_icon: Callable[[QIcon], None] | None = None,
    role: QPalette.ColorRole = QPalette.ColorRole.WindowText,
) -> None:
    """Give a button (or whoever has `set_icon`) the icon; again when its palette changes.

    Called again for the same widget, the new name takes the place of the old one.
    """
    if set_icon is None:
        if not isinstance(widget, QAbstractButton):
            raise TypeError(f"set_icon is needed for {type(widget).__name__}")
        set_icon = widget.setIcon
    for before in widget.findChildren(_Keeper, options=Qt.FindChildOption.FindDirectChildrenOnly):
        before.setParent(None)
    _Keeper(widget, name, set_icon, role)


class _Keeper(QObject):
    """Sets an icon as often as the palette of its widget changes."""

    def __init__(
        self,
        widget: QWidget,
        name: str,
        set_icon: Callable[[QIcon], None],
        role: QPalette.ColorRole,
    ) -> None:
        super().__init__(widget)
        self._widget, self._name, self._set, self._role = widget, name, set_icon, role
        widget.installEventFilter(self)
        self._draw()

    def eventFilter(self, _: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        """See `QObject.eventFilter`."""
        if event.type() == QEvent.Type.PaletteChange:
            self._draw()
        return False

    def _draw(self) -> None:
        self._set(icon(self._name, self._widget.palette(), self._role))


def _of_the_sign(palette: QPalette) -> tuple[int, int]:
    """Ground and lines of the program's own icon, which stands alone and so has its colours."""
    group = QPalette.ColorGroup.Active
    return (
        palette.color(group, QPalette.ColorRole.Highlight).rgba(),
        palette.color(group, QPalette.ColorRole.HighlightedText).rgba(),
    )


@lru_cache(maxsize=512)
def _icon(name: str, ink: int, disabled: int, selected: int, ground: int, sign: int) -> QIcon:
    drawn = QIcon()
    modes = {
        QIcon.Mode.Normal: ink,
        QIcon.Mode.Disabled: disabled,
        QIcon.Mode.Selected: selected,
    }
    for mode, colour in modes.items():
        for size in SIZES:
            drawn.addPixmap(_pixmap(name, size, colour, ground, sign), mode)
    return drawn


def _pixmap(name: str, pixels: int, ink: int, ground: int, sign: int) -> QPixmap:
    colours = (QColor.fromRgba(colour).name() for colour in (ink, ground, sign))
    renderer = QSvgRenderer(QByteArray(svg(name, *colours)))
    drawn = QPixmap(pixels, pixels)
    drawn.fill(Qt.GlobalColor.transparent)
    painter = QPainter(drawn)
    # SVG Tiny knows no colours with alpha: some styles dim disabled text so.
    painter.setOpacity(QColor.fromRgba(ink).alphaF())
    renderer.render(painter)
    painter.end()
    return drawn
