"""A screen that is not there, with a window manager and, if wanted, its tray: for the real window.

    Xvfb ◀─ jwm (title bars, Alt+F4, a panel with a tray)
      ▲─── the window, a process of its own
      ▲─── xdotool (keys, minimising), xprop (what the screen knows of a window)

Rules: no message bus of this computer is used, and what was started ends with the `with` block.

Limits: `missing` says what is not installed; `scripts/setup gui` installs it. The tray is that of X
itself (XEMBED). Counterparts: `test_screen.py`, `tests/bench/window.py`.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

__all__ = ["PATIENCE", "Screen", "await_that", "missing", "screen"]

TOOLS: Final = ("Xvfb", "jwm", "xdotool", "xprop", "xwininfo")
SIZE: Final = "1280x900x24"
PATIENCE: Final = 30.0
"""Seconds until something that must happen has happened."""

POLL_SECONDS: Final = 0.05
FORMAT: Final = '<?xml version="1.0"?><JWM>{panel}<FocusModel>click</FocusModel>\
<Key mask="A" key="F4">close</Key></JWM>'
PANEL: Final = '<Tray x="0" y="-1" height="32"><TaskList/><Dock/></Tray>'
"""Of jwm's settings: its tray is called Dock there."""

GRAB: Final = """
import sys
from PySide6.QtGui import QGuiApplication
application = QGuiApplication([])
sys.exit(not application.primaryScreen().grabWindow(0).save(sys.argv[1]))
"""

T = TypeVar("T")


def missing() -> str:
    """What is not installed here, and how to install it; "" if nothing is missing."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"not installed: {', '.join(absent)}; scripts/setup gui" if absent else ""


def await_that(condition: Callable[[], T], what: str) -> T:
    """The first result of `condition` that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} within {PATIENCE:.0f} s")
        time.sleep(POLL_SECONDS)
    return result


@dataclass
class Screen:
    """What a test does on it. `environment` is that of programs which are to be shown there."""

    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str) -> str:
        """Run a tool to its end; what it prints, also if it found nothing."""
        result = subprocess.run(
            *(command,), env=self.environment, capture_output=True, text=True, check=False
        )
        return result.stdout

    def windows(self, title: str) -> list[str]:
        """Windows to be seen with that title (a regular expression)."""
        return self.run("xdotool", "search", "--onlyvisible", "--name", title).split()

    def property(self, window: str, name: str) -> str:
        """What the screen knows of a window, as xprop prints it."""
        return self.run("xprop", "-id", window, name).partition("=")[2].strip()

    def state(self, window: str) -> str:
        """The state of the window: Normal, Iconic, Withdrawn; "" if it has none."""
        found = re.search(r"window state: (\w+)", self.run("xprop", "-id", window, "WM_STATE"))
        return found[1] if found else ""

    def has_focus(self, window: str) -> bool:
        """Whether what is typed goes there."""
        return self.run("xdotool", "getwindowfocus").strip() == window

    def press(self, window: str, keys: str) -> None:
        """Have a person press keys in a window."""
        self.run("xdotool", "windowactivate", "--sync", window)
        await_that(lambda: self.has_focus(window), "the window has the focus")
        self.run("xdotool", "key", keys)

    def minimise(self, window: str) -> None:
        """As by the button in the title bar."""
        self.run("xdotool", "windowminimize", window)
        await_that(lambda: self.state(window) == "Iconic", "the window is minimised")

    def tray_icons(self, name: str) -> list[str]:
        """Windows of that name that the tray has taken in (XEMBED): they are inside the panel."""
        tree = self.run("xwininfo", "-root", "-tree")
        return re.findall(rf'^ {{11,}}(0x\w+) "{re.escape(name)}": \(.', tree, re.MULTILINE)

    def click(self, window: str) -> None:
        """Have a person click into the middle of a window."""
        self.run("xdotool", "mousemove", "--sync", "--window", window, "12", "12", "click", "1")

    def picture(self, file: Path) -> None:
        """Write what is to be seen to a PNG file."""
        command = [sys.executable, "-c", GRAB, str(file)]
        subprocess.run(command, env=self.environment, check=True, timeout=PATIENCE)


@contextlib.contextmanager
def screen(has_tray: bool) -> Iterator[Screen]:
    """A screen with a window manager."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="samehost-")))
        display = stack.enter_context(_server())
        environment = _environment(display, folder)
        settings = folder / "jwmrc"
        settings.write_text(FORMAT.format(panel=PANEL if has_tray else ""))
        stack.enter_context(_started(["jwm", "-f", str(settings)], environment))
        shown = Screen(environment)
        await_that(
            lambda: "window id" in shown.run("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"),
            "the window manager is there",
        )
        yield shown


def _environment(display: str, folder: Path) -> dict[str, str]:
    """That of a desktop session of its own, without a message bus."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QT_")}
    folders = {"HOME": folder, "XDG_RUNTIME_DIR": folder / "run"}
    folders |= {f"XDG_{name}_HOME": folder / name for name in ("CONFIG", "DATA", "CACHE")}
    for path in folders.values():
        path.mkdir(mode=0o700, exist_ok=True)
    return (
        kept
        | {name: str(path) for name, path in folders.items()}
        | {
            "DISPLAY": display,
            "DBUS_SESSION_BUS_ADDRESS": "disabled:",
            "QT_QPA_PLATFORM": "xcb",
        }
    )


@contextlib.contextmanager
def _server() -> Iterator[str]:
    """Xvfb chooses its number itself, and tells it when it can be used."""
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", SIZE, "-nolisten", "tcp"]
    command.append("-noreset")  # else it begins anew when the first client has gone
    with _started(command, os.environ, (writer,)):
        os.close(writer)
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        if not number:
            raise AssertionError("Xvfb did not start")
        yield f":{number}"


@contextlib.contextmanager
def _started(
    command: list[str], environment: Mapping[str, str], descriptors: tuple[int, ...] = ()
) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
