"""Room on the disks of the folders: each disk once, and full ones in words."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from desktop.disk import FULL_BYTES, full_disks, rooms
from desktop.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Folders on two disks, of which those on the second are not there yet."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
    return Paths(first, first / "admin", second / "a/b", first / "logs", second / "c")


@pytest.fixture
def disks(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What is free on each; those that are not named cannot be looked at."""
    free = {"first": 5, "second": FULL_BYTES}

    def usage(folder: Path) -> SimpleNamespace:
        if folder.name not in free:
            raise OSError(5, "Input/output error")
        return SimpleNamespace(free=free[folder.name])

    def status(folder: Path) -> SimpleNamespace:
        return SimpleNamespace(st_dev=sorted(free).index(folder.name) if free else 0)

    assert paths.config.is_dir()
    monkeypatch.setattr("desktop.disk.shutil", SimpleNamespace(disk_usage=usage))
    monkeypatch.setattr("desktop.disk.os", SimpleNamespace(stat=status))
    return free


def test_each_disk_is_told_once_by_the_first_folder_on_it(
    paths: Paths, disks: dict[str, int]
) -> None:
    assert rooms(paths) == [(paths.config, 5), (paths.state, FULL_BYTES)]
    assert disks


def test_a_full_disk_is_told_with_what_to_do(paths: Paths, disks: dict[str, int]) -> None:
    (words,) = full_disks(paths)
    assert words.startswith(f"the disk of {paths.config} is full")
    assert words.endswith("make room")
    disks["first"] = FULL_BYTES
    assert full_disks(paths) == []


def test_a_disk_that_cannot_be_looked_at_is_not_told(paths: Paths, disks: dict[str, int]) -> None:
    disks.clear()
    assert rooms(paths) == []
    assert full_disks(paths) == []


def test_of_a_real_disk_it_is_known_what_its_user_may_write(tmp_path: Path) -> None:
    (room,) = rooms(Paths.under(tmp_path))
    status = os.statvfs(tmp_path)
    assert room.folder == tmp_path
    assert 0 < room.free <= status.f_blocks * status.f_frsize
