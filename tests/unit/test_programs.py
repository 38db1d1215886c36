"""Programs are found where that is safe; on Windows that is not where one stands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop import programs as finding
from desktop import programs_windows
from desktop.autostart.interface import run_program
from desktop.daemon.host_system import show_excluded
from desktop.machines.found.tools import Tools
from desktop.machines.openssh import client
from desktop.machines.process import ChildProcess
from desktop.programs import find_program, program_file, programs
from tests.capabilities import POSIX_PROCESSES, UNIX_SOCKETS, needs

RIGHT = "#!/bin/sh\necho right\n"
PLANTED = "#!/bin/sh\necho planted\n"


def put(folder: Path, name: str, text: str = RIGHT) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)
    return file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: in it, and below it, lies what nobody asked for."""
    here = tmp_path / "here"
    for folder in (here, here / "relative"):
        for name in ("tool", "tool.exe", "tool.bat"):
            put(folder, name, PLANTED)
    monkeypatch.chdir(here)
    return tmp_path


def path_of(*folders: Path | str) -> str:
    return os.pathsep.join(map(str, folders))


def test_on_windows_what_lies_where_one_stands_is_no_program(place: Path) -> None:
    path = path_of("", ".", "relative", place / "nowhere")
    assert find_program("tool", path, "nt") is None
    with pytest.raises(FileNotFoundError, match="tool"):
        program_file("tool", path, "nt")
    right = put(place / "bin", "tool.exe")
    assert find_program("tool", path_of(path, place / "bin"), "nt") == str(right)


def test_on_windows_a_program_ends_in_exe_whether_that_is_said_or_not(place: Path) -> None:
    put(place / "bin", "tool.bat")
    put(place / "bin", "tool")
    assert find_program("tool", path_of(place / "bin"), "nt") is None
    right = put(place / "bin", "tool.exe")
    for name in ("tool", "tool.exe"):
        assert find_program(name, path_of(place / "bin"), "nt") == str(right)


@pytest.mark.parametrize("system", [os.name, "nt"])
def test_a_program_that_names_its_folder_is_taken_as_it_is(place: Path, system: str) -> None:
    right = put(place / "bin", "tool.exe")
    assert find_program(str(right), "", system) == str(right)
    assert find_program(str(right.with_name("other.exe")), "", system) is None


@needs(POSIX_PROCESSES)
def test_elsewhere_the_person_decides_by_path(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = put(place / "one", "tool"), put(place / "two", "tool")
    monkeypatch.setenv("PATH", path_of(first.parent, second.parent))
    assert find_program("tool") == str(first)
    assert find_program("tool", path_of(second.parent)) == str(second)


def test_installers_of_windows_put_their_folders_on_path() -> None:
    assert programs("nt").INSTALLED == ()
    assert all(Path(each).is_absolute() for each in programs("posix").INSTALLED)


# Whoever runs one.


def run_child(program: str) -> str:
    async def story() -> str:
        process = await ChildProcess.start([program])
        try:
            return (await asyncio.get_running_loop().sock_recv(process.stream, 100)).decode()
        finally:
            await process.wait()

    return asyncio.run(story())


RUNNERS: dict[str, Callable[[], str]] = {
    "schtasks": lambda: run_program(["schtasks"]).said,
    "netsh": lambda: show_excluded("tcp"),
    "sh": lambda: run_child("sh"),
    "limactl": lambda: asyncio.run(Tools(installed=()).ask("limactl")).decode(),
}


@needs(POSIX_PROCESSES)
@pytest.mark.parametrize("name", RUNNERS)
def test_whoever_runs_a_program_by_its_name_asks_where_it_lies(
    name: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(place / "here", name, PLANTED)
    put(place / "here", f"{name}.exe", PLANTED)
    put(place / "bin", f"{name}.exe")
    monkeypatch.setattr(finding, "programs", lambda _name="": programs_windows)
    monkeypatch.setenv("PATH", path_of("", place / "bin"))
    assert RUNNERS[name]().strip() == "right"


@needs(UNIX_SOCKETS)
def test_an_ssh_that_lies_where_one_stands_is_not_installed(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ssh", "ssh.exe"):
        put(place / "here", name, PLANTED)
    monkeypatch.setattr(finding, "programs", lambda _name="": programs_windows)
    monkeypatch.setenv("PATH", ".")
    assert not client.is_installed()
    monkeypatch.setenv("PATH", path_of(put(place / "bin", "ssh.exe").parent))
    assert client.is_installed()
