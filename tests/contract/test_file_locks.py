"""What a lock on a file guarantees: flock(2), and LockFileEx, which elsewhere flock stands for."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from desktop.api import filelock_windows
from desktop.api.filelock import Locks, locks, open_lock, read_note, write_note

PATIENCE = 10.0


class Kernel32:
    """LockFileEx by learn.microsoft.com: bytes of a file, for one open file; here with flock(2)."""

    def __init__(self) -> None:
        self.error = 0

    def LockFileEx(  # noqa: N802
        self, handle: Any, flags: int, _zero: int, low: int, high: int, where: Any
    ) -> int:
        self.error = 0
        assert (low, high) == (1, 0)
        assert where._obj.offset > 4096, "others could not read the note"
        assert flags & 2, "it is for this process alone"
        fcntl = importlib.import_module("fcntl")
        try:
            fcntl.flock(handle.value, fcntl.LOCK_EX | (fcntl.LOCK_NB if flags & 1 else 0))
        except BlockingIOError:
            self.error = 33
        except OSError:
            self.error = 6
        return int(not self.error)


def pretend_windows(patch: pytest.MonkeyPatch) -> None:
    """Handles are descriptors, and kernel32 is the one above; nothing of it on Windows itself."""
    if os.name != "nt":
        kernel32 = Kernel32()
        msvcrt = SimpleNamespace(get_osfhandle=lambda descriptor: descriptor)
        patch.setitem(sys.modules, "msvcrt", msvcrt)
        patch.setattr(filelock_windows, "library", lambda _name: kernel32)
        patch.setattr(filelock_windows, "last_error", lambda: kernel32.error)


@pytest.fixture(params=["posix", "nt"] if os.name != "nt" else ["nt"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Locks:
    if request.param == "nt":
        pretend_windows(monkeypatch)
    return locks(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    before = lowest_free()
    yield tmp_path / "a.lock"
    assert lowest_free() == before


def lowest_free() -> int:
    """The number that the next open file gets: higher, if one was left open."""
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_one_has_it_and_all_others_are_told_at_once(here: Locks, path: Path) -> None:
    first, second = open_lock(path), open_lock(path)
    here.take(first)
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            here.take(second)
    os.close(second)
    here.give_back(path, first)


def test_it_ends_with_the_open_file(here: Locks, path: Path) -> None:
    first, second = open_lock(path), open_lock(path)
    here.take(first)
    os.close(first)
    here.take(second)
    here.give_back(path, second)


def test_giving_it_back_removes_the_file_which_may_be_gone_already(here: Locks, path: Path) -> None:
    for is_gone in (False, True) if os.name != "nt" else (False,):
        descriptor = open_lock(path)
        here.take(descriptor)
        if is_gone:
            path.unlink()
        here.give_back(path, descriptor)
        assert not path.exists()


def test_others_read_who_has_it(here: Locks, path: Path) -> None:
    first, second = open_lock(path), open_lock(path)
    here.take(first)
    for note in ("123456", "7"):
        write_note(first, note)
        assert read_note(second) == note
    if os.name != "nt":
        assert path.stat().st_mode & 0o777 == 0o600
    os.close(second)
    here.give_back(path, first)


def test_on_windows_a_file_that_the_next_one_has_open_stays(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path, *, missing_ok: bool) -> None:
        raise PermissionError(errno.EACCES, f"in use, {missing_ok}")

    monkeypatch.setattr(Path, "unlink", refuse)
    locks("nt").give_back(path, open_lock(path))
    assert path.exists()


def test_waiting_goes_on_until_it_is_free(here: Locks, path: Path) -> None:
    first, second = open_lock(path), open_lock(path)
    here.take(first)
    waiting = threading.Thread(target=lambda: here.take(second, wait=True), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    os.close(first)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    here.give_back(path, second)


def test_on_windows_another_trouble_is_not_taken_for_a_lock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pretend_windows(monkeypatch)
    with pytest.raises(OSError, match=r"error 6 of Windows|Bad file") as caught:
        locks("nt").take(lowest_free())
    assert not isinstance(caught.value, BlockingIOError)
