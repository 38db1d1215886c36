"""`samehost gui`: the window. It is a program of its own, in the extra `samehost[gui]`.

Rules: Qt is looked for and never imported, so that the command line needs none. This process
becomes the window's (`become.py`). Counterpart: `gui/__main__.py`, which reads the same options.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from typing import Final

from desktop.cli.become import become
from desktop.errors import SamehostError
from desktop.paths import Paths

__all__ = ["PAGES", "add_arguments", "run"]

TOOLKIT: Final = "PySide6"
DISPLAY_VARIABLES: Final = ("WAYLAND_DISPLAY", "DISPLAY")
PLATFORM_VARIABLE: Final = "QT_QPA_PLATFORM"
"""Qt's own: whoever sets it knows where the window goes, such as nowhere (`offscreen`)."""

PAGES: Final = ("general", "network", "ports", "machine", "about")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument("--page", choices=PAGES, help="the page to begin with")
    parser.add_argument(
        "--hidden", action="store_true", help="begin in the tray, where there is one"
    )


def run(arguments: argparse.Namespace, paths: Paths) -> int:  # noqa: ARG001 - as all verbs
    """Become the window; its exit code. Raises SamehostError if that cannot be."""
    if find_spec(TOOLKIT) is None:
        raise SamehostError(
            f"the window needs {TOOLKIT}, which is not installed",
            "install it: pip install 'samehost[gui]', or the package samehost-gui",
        )
    if not _has_display():
        raise SamehostError(
            "there is no display for the window: neither WAYLAND_DISPLAY nor DISPLAY is set",
            "run it in a desktop session; without one use: samehost status, samehost ports",
        )
    options = ["--hidden"] * arguments.hidden
    options += ["--page", arguments.page] if arguments.page else []
    # With -P, so that no folder called `gui` in the working directory is taken for ours.
    return become(sys.executable, ["-P", "-m", "gui", *options])


def _has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in (*DISPLAY_VARIABLES, PLATFORM_VARIABLE))
