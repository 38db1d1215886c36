"""A process in the background: on this system as it is, and Windows' log by stand-ins elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from desktop.cli import background_windows
from desktop.cli.background import Background, background, start
from tests.ended import ended

PATIENCE = 20.0
FAMILIAR = """
import sys
print("to whoever started it", flush=True)
print("to the log", file=sys.stderr, flush=True)
sys.stdin.read()
"""

WAITING = "import time; print('up', flush=True); time.sleep(60)"


class WinApi:
    """CreateFile of a file that is written at its end alone."""

    NULL = 0
    can_be_had = True

    def __init__(self) -> None:
        self.closed: list[int] = []

    def CreateFile(self, name: str, access: int, share: int, *rest: int) -> int:  # noqa: N802
        assert not access & 0x2, "FILE_WRITE_DATA would let it write over what is there"
        assert share == 0x7, "the log could not be read, or renamed"
        assert rest == (0, 4, 0, 0)
        return os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def CloseHandle(self, handle: int) -> None:  # noqa: N802
        self.closed.append(handle)
        os.close(handle)

    def open_osfhandle(self, handle: int, flags: int) -> int:
        assert flags & os.O_APPEND
        if not self.can_be_had:
            raise OSError(24, "too many open files")
        return handle


@pytest.fixture
def winapi(monkeypatch: pytest.MonkeyPatch) -> WinApi:
    made = WinApi()
    monkeypatch.setitem(sys.modules, "_winapi", made)
    monkeypatch.setitem(sys.modules, "msvcrt", made)
    return made


@pytest.fixture(params=["posix", "nt"] if os.name != "nt" else ["nt"])
def here(request: pytest.FixtureRequest) -> Background:
    if request.param != os.name:
        request.getfixturevalue("winapi")
    return background(request.param)


def test_the_log_is_made_and_written_at_its_end_whoever_else_writes(
    here: Background, tmp_path: Path
) -> None:
    path = tmp_path / "a.log"
    first = here.open_log(path)
    os.write(first, b"one ")
    second = here.open_log(path)
    for descriptor, text in ((first, b"two "), (second, b"three "), (first, b"four")):
        os.write(descriptor, text)
    os.close(first)
    os.close(second)
    assert path.read_bytes() == b"one two three four"
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_log_that_is_open_can_be_renamed(here: Background, tmp_path: Path) -> None:
    descriptor = here.open_log(tmp_path / "a.log")
    (tmp_path / "a.log").rename(tmp_path / "a.log.1")
    os.write(descriptor, b"still")
    os.close(descriptor)
    assert (tmp_path / "a.log.1").read_bytes() == b"still"


def test_a_log_that_cannot_be_made_is_an_error(here: Background, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        here.open_log(tmp_path / "no-folder" / "a.log")


def test_on_windows_a_handle_that_cannot_be_a_descriptor_is_closed(
    winapi: WinApi, tmp_path: Path
) -> None:
    winapi.can_be_had = False
    with pytest.raises(OSError, match="too many"):
        background("nt").open_log(tmp_path / "a.log")
    assert len(winapi.closed) == 1


def test_it_has_our_pipe_the_log_and_nothing_to_read(tmp_path: Path) -> None:
    log = background().open_log(tmp_path / "a.log")
    with ended(start([sys.executable, "-c", FAMILIAR], log)) as process:
        os.close(log)
        assert process.stdout is not None
        with process.stdout as pipe:
            assert pipe.readline().split() == b"to whoever started it".split()
            assert process.wait(PATIENCE) == 0
    assert (tmp_path / "a.log").read_text().strip() == "to the log"


@pytest.mark.skipif(os.name == "nt", reason="there are no sessions; the next test has the flags")
def test_it_takes_no_ctrl_c_of_ours(tmp_path: Path) -> None:
    log = background().open_log(tmp_path / "a.log")
    with ended(start([sys.executable, "-c", WAITING], log)) as process:
        os.close(log)
        assert process.stdout is not None
        with process.stdout as pipe:
            assert pipe.readline() == b"up\n"
            assert os.getsid(process.pid) == process.pid


def test_on_windows_it_has_a_group_and_a_console_that_nobody_sees() -> None:
    flags = background_windows.OPTIONS["creationflags"]
    assert flags & 0x0800_0000, "a window would open"
    assert not flags & 0x0000_0008, "each program that it starts would open a window"
    assert flags & 0x0000_0200, "Ctrl-C would end it"
