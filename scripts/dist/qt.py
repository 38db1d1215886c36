"""Which of Qt's many files the window needs.

Rules: said by name what comes along, so that what a newer Qt adds stays out. A test loads each
module that `gui` imports from what is left, and looks for libraries that are missing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

__all__ = ["DEBIAN_PACKAGES", "FILES", "MODULES", "leave_out"]

MODULES: Final = ("Core", "DBus", "Gui", "Network", "Svg", "Widgets")
LIBRARIES: Final = (*MODULES, "OpenGL", "WaylandClient", "WlShellIntegration", "XcbQpa")
PLUGINS: Final = (
    *("iconengines/*", "imageformats/libqsvg.so", "imageformats/libqico.so"),
    *("platforms/libqxcb.so", "platforms/libqwayland*.so", "platforms/libqoffscreen.so"),
    *("platforms/libqminimal.so", "platforminputcontexts/*", "platformthemes/*"),
    *("wayland-decoration-client/*", "wayland-graphics-integration-client/*"),
    *("wayland-shell-integration/*", "xcbglintegrations/*"),
)
FILES: Final = (
    "PySide6/*.py",
    *(f"PySide6/Qt{name}.abi3.so" for name in MODULES),
    "PySide6/libpyside6.abi3.so*",
    *(f"PySide6/Qt/lib/libQt6{name}.so.6" for name in LIBRARIES),
    "PySide6/Qt/lib/libicu*.so*",
    *(f"PySide6/Qt/plugins/{name}" for name in PLUGINS),
    "PySide6/Qt/translations/qtbase_*.qm",
    "shiboken6/*.py",
    "shiboken6/*.so*",
    "pyside6_essentials-*.dist-info/*",
    "shiboken6-*.dist-info/*",
)
"""Patterns of files below site-packages."""

DEBIAN_PACKAGES: Final = (
    *("fontconfig", "libbrotli1", "libdbus-1-3", "libegl1", "libfontconfig1", "libfreetype6"),
    *("libgcc-s1", "libgl1", "libglib2.0-0", "libgssapi-krb5-2", "libstdc++6"),
    *("libwayland-client0", "libwayland-cursor0", "libwayland-egl1"),
    *("libx11-6", "libx11-xcb1", "libxcb-cursor0"),
    *("libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1", "libxcb-randr0", "libxcb-render-util0"),
    *("libxcb-shape0", "libxcb-shm0", "libxcb-sync1", "libxcb-xfixes0", "libxcb-xkb1", "libxcb1"),
    *("libxkbcommon-x11-0", "libxkbcommon0", "zlib1g"),
)
"""Those of Debian 12 that have the libraries Qt is linked with; Debian 13 provides the names."""

UNUSED: Final = ("PySide6/Qt/plugins/platforminputcontexts/libqtvirtualkeyboardplugin.so",)
"""It needs Qt Quick."""


def leave_out(library: Path) -> None:
    """Remove what matches FILES and needs modules that are not there."""
    for name in UNUSED:
        (library / "lib/python3/site-packages" / name).unlink(missing_ok=True)
