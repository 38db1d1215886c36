"""The real `samehost gui` on a screen, with a window manager and a tray, or without one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import pytest

from desktop.paths import Paths
from gui.preferences import PreferencesFile
from tests.gui import screen as screens
from tests.gui.screen import PATIENCE, Screen, await_that
from tests.gui.stage import furnish
from tests.served_backend import ServedBackend

PROJECT: Final = Path(__file__).parents[2]
TITLE: Final = "Samehost$"
INTERRUPTED: Final = 130

pytestmark = pytest.mark.skipif(bool(screens.missing()), reason=screens.missing() or "-")


@dataclass(frozen=True)
class Desk:
    """A screen, and the folder of a Samehost of its own."""

    shown: Screen
    home: Path
    environment: dict[str, str]

    def command(self, *arguments: str) -> list[str]:
        """The argument list of a `samehost` command."""
        return [sys.executable, "-P", "-m", "desktop.cli.main", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a `samehost` command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    @contextlib.contextmanager
    def window(self, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
        """The window's process; killed in the end if it is still there."""
        process = subprocess.Popen(self.command("gui", *arguments), env=self.environment)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)

    @contextlib.contextmanager
    def daemon(self) -> Iterator[ServedBackend]:
        """A daemon with rows of every state, for the window to find."""
        with ServedBackend(self.home) as served:
            served.do(lambda: furnish(served.backend))
            yield served

    def shown_window(self) -> str:
        """The window, once it is to be seen."""
        return await_that(lambda: self.shown.windows(TITLE), "the window is shown")[-1]

    def is_hidden(self) -> bool:
        """No window is to be seen."""
        return not self.shown.windows(TITLE)


@contextlib.contextmanager
def desk_with(has_tray: bool, **environment: str) -> Iterator[Desk]:
    """A screen, and a folder with a path short enough for sockets."""
    with (
        tempfile.TemporaryDirectory(prefix="samehost-") as folder,
        screens.screen(has_tray) as shown,
    ):
        own = {"SAMEHOST_HOME": folder, "PYTHONPATH": str(PROJECT), **environment}
        yield Desk(shown, Path(folder), shown.environment | own)


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    """With a tray, unless the test says otherwise by `indirect`."""
    with desk_with(getattr(request, "param", True)) as desk:
        yield desk


@pytest.fixture
def daemon(desk: Desk) -> Iterator[ServedBackend]:
    with desk.daemon() as served:
        yield served


def is_followed(served: ServedBackend) -> bool:
    return served.do(lambda: bool(served.backend.feed._subscriptions))


def test_it_has_a_title_an_icon_and_an_icon_in_the_tray(desk: Desk, daemon: ServedBackend) -> None:
    with desk.window("--page", "ports"):
        window = desk.shown_window()
        await_that(lambda: desk.shown.tray_icons("Samehost"), "the tray has its icon")
        assert desk.shown.state(window) == "Normal"
        assert "Ports" in desk.shown.property(window, "_NET_WM_NAME")
        assert "Icon" in desk.shown.property(window, "_NET_WM_ICON")
        assert desk.shown.property(window, "WM_CLASS").endswith('"samehost"')
        await_that(lambda: is_followed(daemon), "the port table is followed")


def test_closed_it_goes_behind_its_icon_from_which_a_second_start_and_a_click_bring_it_back(
    desk: Desk, daemon: ServedBackend
) -> None:
    with desk.window() as process:
        window = desk.shown_window()
        icon = await_that(lambda: desk.shown.tray_icons("Samehost"), "the tray has its icon")[0]
        desk.shown.press(window, "alt+F4")
        await_that(desk.is_hidden, "the window is hidden")
        await_that(lambda: not is_followed(daemon), "the port table is not followed any more")
        again = desk.run("gui", "--page", "about")
        assert (again.returncode, again.stderr) == (0, "")
        window = desk.shown_window()
        assert "About" in desk.shown.property(window, "_NET_WM_NAME")
        desk.shown.press(window, "alt+F4")
        await_that(desk.is_hidden, "the window is hidden again")
        desk.shown.click(icon)
        desk.shown_window()
        assert process.poll() is None


def test_minimised_it_does_not_follow_the_port_table(desk: Desk, daemon: ServedBackend) -> None:
    with desk.window("--page", "ports"):
        window = desk.shown_window()
        await_that(lambda: is_followed(daemon), "the port table is followed")
        desk.shown.minimise(window)
        await_that(lambda: not is_followed(daemon), "the port table is not followed any more")
        desk.run("gui")
        await_that(lambda: is_followed(daemon), "the port table is followed again")
        await_that(lambda: desk.shown.state(window) == "Normal", "the window is back")


def test_ctrl_c_ends_it_and_nothing_of_it_stays(desk: Desk, daemon: ServedBackend) -> None:
    with desk.window() as process:
        desk.shown_window()
        await_that(lambda: desk.shown.tray_icons("Samehost"), "the tray has its icon")
        before = set(daemon.paths.runtime.iterdir())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == INTERRUPTED
        await_that(
            lambda: not desk.shown.run("xdotool", "search", "--name", "Samehost"),
            "none of its windows is left",
        )
        left = {path.name for path in before & set(daemon.paths.runtime.iterdir())}
        assert left == {"api.sock", "daemon.lock"}


@pytest.mark.parametrize("desk", [False], indirect=True)
def test_without_a_tray_closing_it_ends_it(desk: Desk, daemon: ServedBackend) -> None:
    with desk.window() as process:
        window = desk.shown_window()
        await_that(lambda: is_followed(daemon), "the port table is followed")
        desk.shown.press(window, "alt+F4")
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("by_itself", [True, False], ids=["by itself", "by its button"])
def test_it_starts_a_daemon_that_outlives_it(desk: Desk, by_itself: bool) -> None:
    preferences = PreferencesFile(desk.home / "window.json")
    preferences.change(start_daemon=by_itself)
    with desk.window("--page", "ports") as process:
        window = desk.shown_window()
        try:
            await_that(
                lambda: is_served(desk) if by_itself else press_start(desk, window),
                "the daemon answers",
            )
            # Whoever starts it takes it back if the window ends meanwhile.
            await_that(lambda: not psutil.Process(process.pid).children(), "it has been started")
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            assert desk.run("status").returncode == 3  # it runs, and its switch is off
        finally:
            ended = desk.run("down")
        assert (ended.returncode, ended.stdout) == (0, "Samehost has stopped.\n"), ended.stderr


def is_served(desk: Desk) -> bool:
    return Paths.under(desk.home).api_socket.exists()


def press_start(desk: Desk, window: str) -> bool:
    """Press the button's mnemonic until there is a daemon: it may not be there at first."""
    if is_served(desk):
        return True
    desk.shown.press(window, "alt+s")
    return False


def test_a_picture_of_it_all_is_taken(desk: Desk, daemon: ServedBackend) -> None:
    file = PROJECT / "build" / "screenshots" / "screen.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    with desk.window("--page", "ports"):
        desk.shown_window()
        await_that(lambda: is_followed(daemon), "the port table is followed")
        await_that(lambda: desk.shown.tray_icons("Samehost"), "the tray has its icon")
        desk.shown.picture(file)
    assert re.match(rb"\x89PNG", file.read_bytes())
    assert os.path.getsize(file) > 10_000
