"""The daemon's log on this system as it is, and as on Windows, by a stand-in elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from desktop.cli.logfile import LogFile, log_file
from tests.fake_winapi import FakeWinApi


@pytest.fixture
def winapi(monkeypatch: pytest.MonkeyPatch) -> FakeWinApi:
    return FakeWinApi.installed(monkeypatch)


@pytest.fixture(params=["posix", "nt"] if os.name != "nt" else ["nt"])
def here(request: pytest.FixtureRequest) -> LogFile:
    if request.param != os.name:
        request.getfixturevalue("winapi")
    return log_file(request.param)


def test_it_is_made_and_written_at_its_end_whoever_else_writes(
    here: LogFile, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    first = here.append_to(path)
    os.write(first, b"one ")
    second = here.append_to(path)
    for descriptor, text in ((first, b"two "), (second, b"three "), (first, b"four")):
        os.write(descriptor, text)
    os.close(first)
    os.close(second)
    assert path.read_bytes() == b"one two three four"
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_read_from_its_begin_and_goes_on_as_it_grows(here: LogFile, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"one ")
    with open(here.read_from(path), "rb", buffering=0) as reading:
        assert reading.read() == b"one "
        with path.open("ab") as log:
            log.write(b"two")
        assert reading.read() == b"two"


def test_while_it_is_written_and_read_it_can_be_renamed(here: LogFile, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    writing = here.append_to(path)
    with open(here.read_from(path), "rb", buffering=0) as reading:
        path.rename(tmp_path / "a.log.1")
        os.write(writing, b"still")
        os.close(writing)
        assert reading.read() == b"still"


@pytest.mark.parametrize("way", ["append_to", "read_from"])
def test_one_that_cannot_be_there_is_an_error(here: LogFile, tmp_path: Path, way: str) -> None:
    opening: Callable[[Path], int] = getattr(here, way)
    with pytest.raises(FileNotFoundError):
        opening(tmp_path / "no-folder" / "a.log")


def test_on_windows_a_handle_that_cannot_be_a_descriptor_is_closed(
    winapi: FakeWinApi, tmp_path: Path
) -> None:
    winapi.gives_descriptors = False
    with pytest.raises(OSError, match="too many"):
        log_file("nt").append_to(tmp_path / "a.log")
    assert len(winapi.closed) == 1
