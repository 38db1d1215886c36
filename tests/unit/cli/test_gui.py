"""`samehost gui`: becomes the window, or says what that needs; and nothing else knows of Qt."""

from __future__ import annotations

import subprocess
import sys

import pytest

from desktop.cli import gui
from desktop.cli.main import VERBS
from desktop.paths import Paths
from tests.unit.cli.conftest import Command

Replaced = list[tuple[str, list[str]]]


@pytest.fixture
def replaced(monkeypatch: pytest.MonkeyPatch) -> Replaced:
    """What this process would have become, on a computer with a display and Qt."""
    calls: Replaced = []

    def become(program: str, arguments: list[str]) -> int:
        calls.append((program, arguments))
        return 9

    monkeypatch.setattr("desktop.cli.gui.become", become)
    monkeypatch.setattr("desktop.cli.gui.find_spec", lambda _: object())
    monkeypatch.setattr("sys.platform", "linux")
    for name in (*gui.DISPLAY_VARIABLES, gui.PLATFORM_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":7")
    return calls


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ([], []),
        (["--hidden"], ["--hidden"]),
        (["--page", "ports"], ["--page", "ports"]),
        (["--page", "about", "--hidden"], ["--hidden", "--page", "about"]),
    ],
)
def test_the_command_becomes_the_window(
    samehost: Command, replaced: Replaced, arguments: list[str], options: list[str]
) -> None:
    assert samehost("gui", *arguments).code == 9
    assert replaced == [(sys.executable, ["-P", "-m", "gui", *options])]


def test_without_qt_it_says_which_extra_or_package_to_install(
    samehost: Command, replaced: Replaced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("desktop.cli.gui.find_spec", lambda _: None)
    result = samehost("gui")
    assert (result.code, replaced) == (1, [])
    assert "pip install 'samehost[gui]'" in result.err
    assert "the package samehost-gui" in result.err


@pytest.mark.parametrize("set_to", [None, ""])
def test_without_a_display_it_says_so(
    samehost: Command, replaced: Replaced, monkeypatch: pytest.MonkeyPatch, set_to: str | None
) -> None:
    monkeypatch.delenv("DISPLAY")
    if set_to is not None:
        monkeypatch.setenv("WAYLAND_DISPLAY", set_to)
    result = samehost("gui")
    assert (result.code, replaced) == (1, [])
    assert "no display" in result.err


@pytest.mark.parametrize(
    ("platform", "variable"),
    [("linux", "WAYLAND_DISPLAY"), ("linux", "QT_QPA_PLATFORM"), ("darwin", ""), ("win32", "")],
)
def test_a_display_need_not_be_that_of_x(
    samehost: Command,
    replaced: Replaced,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    variable: str,
) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.setattr("sys.platform", platform)
    if variable:
        monkeypatch.setenv(variable, "here")
    samehost("gui")
    assert len(replaced) == 1


def test_a_page_that_there_is_not_is_wrong_usage(samehost: Command, replaced: Replaced) -> None:
    result = samehost("gui", "--page", "nowhere")
    assert (result.code, replaced) == (2, [])
    assert "network" in result.err


def test_command_and_daemon_run_where_qt_is_not_installed(paths: Paths) -> None:
    """Whoever imports it gets an error: every verb's module, the daemon, and the window's verb."""
    code = (
        "import sys; from importlib import import_module\n"
        "for name in ('PySide6', 'shiboken6', 'gui'): sys.modules[name] = None\n"
        "for name in sys.argv[1:]: import_module(name)\n"
        "from desktop.cli.main import main\n"
        "print(main(['version']), main(['gui', '--help']))"
    )
    verbs = sorted({f"desktop.cli.{verb.module}" for verb in VERBS.values()})
    command = [sys.executable, "-c", code, "desktop.daemon.main", "desktop.api.fake", *verbs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 0"
    assert not paths.runtime.exists()
