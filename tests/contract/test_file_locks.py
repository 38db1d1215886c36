"""What a lock on a file guarantees: flock(2) and, as far as Python can play it, msvcrt's."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from desktop.api.filelock import Locks, locks, open_lock, read_note, write_note


class Msvcrt(SimpleNamespace):
    """msvcrt.locking by docs.python.org: bytes at the file's position, per open file, mandatory."""

    LK_LOCK, LK_NBLCK = 1, 2

    def __init__(self) -> None:
        super().__init__(held={}, tries=0)

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        assert (mode, count) in ((self.LK_NBLCK, 1), (self.LK_LOCK, 1))
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        assert position > 4096, "others could not read the note"
        key = os.fstat(descriptor).st_ino
        holder = self.held.get(key)
        self.tries += 1
        if holder not in (None, descriptor) and _is_open(holder, key):
            if mode == self.LK_LOCK and self.tries > 2:
                os.close(holder)  # whoever had it has gone meanwhile
            else:
                number = errno.EDEADLK if mode == self.LK_LOCK else errno.EACCES
                raise OSError(number, os.strerror(number))
        self.held[key] = descriptor


def _is_open(descriptor: int, inode: int) -> bool:
    try:
        return os.fstat(descriptor).st_ino == inode
    except OSError:
        return False


@pytest.fixture(params=["posix", "nt"])
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Locks:
    monkeypatch.setitem(sys.modules, "msvcrt", Msvcrt())
    return locks(request.param)


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    before = set(os.listdir("/proc/self/fd"))
    yield tmp_path / "a.lock"
    assert set(os.listdir("/proc/self/fd")) == before


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
    for is_gone in (False, True):
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


def test_on_windows_waiting_goes_on_until_it_is_free(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    msvcrt = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    here = locks("nt")
    first, second = open_lock(path), open_lock(path)
    here.take(first)
    here.take(second, wait=True)
    assert msvcrt.tries > 2
    here.give_back(path, second)


@pytest.mark.parametrize("wait", [False, True])
def test_on_windows_what_is_no_lock_of_another_is_an_error_and_not_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, wait: bool
) -> None:
    msvcrt = Msvcrt()
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)

    def fail(*_: int) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(msvcrt, "locking", fail)
    here, descriptor = locks("nt"), open_lock(path)
    with pytest.raises(OSError, match="Invalid argument"):
        here.take(descriptor, wait=wait)
    os.close(descriptor)
