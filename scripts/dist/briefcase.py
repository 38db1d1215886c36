"""Lays what Briefcase builds the applications for macOS and Windows from: build/briefcase.

    packaging/briefcase/pyproject.toml + version + lock + icons + source ─▶ build/briefcase

Rules: what is built is exactly what is locked. Icons are the sign of the window, drawn by Qt.
Limits: `briefcase create` has to fetch Python for the application and, for an MSI, WiX; it runs on
macOS and Windows only (.github/workflows/packages.yml).
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from link.version import VERSION
from scripts.dist.desktop_files import icon
from scripts.dist.source import ROOT, copy_source, put

__all__ = ["lay_application", "requirements"]

SOURCE: Final = ROOT / "packaging/briefcase"
TARGET: Final = ROOT / "build/briefcase"
LOCK: Final = ROOT / "requirements-gui.lock"
PINNED: Final = re.compile(r"^([a-z0-9-]+==\S+)(?: ; (.+?))?(?: \\)?$", re.MULTILINE)
ROOMS: Final = ("desktop", "gui", "link", "vmagent")
ICON_PIXELS: Final = {"icns": 512, "ico": 256, "png": 512}


def requirements(lock: str) -> list[str]:
    """The packages of a lock as `requires` of Briefcase has them, without hashes."""
    return [f"{pin}; {marker}" if marker else pin for pin, marker in PINNED.findall(lock)]


def lay_application(target: Path = TARGET) -> Path:
    """Make `target` a project of Briefcase, in place of what was there; its path."""
    everything = target.with_name(f"{target.name}-source")
    copy_source(everything)
    shutil.rmtree(target, ignore_errors=True)
    for name in (*ROOMS, "LICENSE", "CHANGELOG.md"):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(everything / name, place)
    shutil.move(everything / "packaging/briefcase/samehost", target / "samehost")
    shutil.rmtree(everything)
    pins = "".join(f'    "{each}",\n' for each in requirements(LOCK.read_text()))
    text = (SOURCE / "pyproject.toml").read_text(encoding="utf-8")
    text = text.replace("@VERSION@", VERSION).replace('["@REQUIREMENTS@"]', f"[\n{pins}]")
    put(target / "pyproject.toml", text)
    _draw(target / "icons")
    return target


def _draw(folder: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtGui import QGuiApplication, QImage

    folder.mkdir(parents=True)
    application = QGuiApplication.instance() or QGuiApplication([])
    image = QImage.fromData(icon().encode())
    for suffix, pixels in ICON_PIXELS.items():
        scaled = image.scaled(pixels, pixels)
        if not scaled.save(str(folder / f"samehost.{suffix}")):
            raise RuntimeError(f"Qt {application.applicationVersion()} cannot write {suffix}")


if __name__ == "__main__":
    sys.stdout.write(f"{lay_application()}\n")
