"""What a desktop shows of the window: entry in the menu, icon, words for software centres."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gui import icons
from link.version import VERSION
from scripts.dist.source import ROOT, source_time

__all__ = ["APP_ID", "desktop_files", "icon"]

APP_ID: Final = "io.github.samehost.samehost"
"""For software centres, Flatpak, macOS and Windows, which want one that nobody else has."""

FOLDER: Final = ROOT / "packaging/desktop"
INK: Final = "#1f2328"
GROUND: Final = "#2f6f4f"
SIGN: Final = "#ffffff"


def icon() -> str:
    """The sign of Samehost as SVG, as the window draws it, in colours of its own."""
    return icons.svg("samehost", INK, GROUND, SIGN).decode() + "\n"


def desktop_files() -> dict[str, str]:
    """Text by path below share/."""
    date = datetime.fromtimestamp(source_time(), UTC).date().isoformat()
    metainfo = f"{APP_ID}.metainfo.xml"
    words = (FOLDER / metainfo).read_text(encoding="utf-8")
    return {
        "applications/samehost.desktop": (FOLDER / "samehost.desktop").read_text(encoding="utf-8"),
        "icons/hicolor/scalable/apps/samehost.svg": icon(),
        f"metainfo/{metainfo}": words.replace("@VERSION@", VERSION).replace("@DATE@", date),
    }
