"""Checks of our folders: nobody but the user may write to sockets or read the log; there is room.

Rules: looks, and repairs nothing. Counterparts: `desktop/api/socketfile.py` makes the folder and
refuses one of somebody else; `desktop/daemon/main.py` makes the log; `desktop/disk.py` looks at
disks.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from desktop.doctor.blocking import in_thread
from desktop.doctor.patient import Patient
from desktop.doctor.verdict import Verdict, error, ok, skipped, warning, worst
from desktop.errors import SamehostError
from desktop.paths import HOME_VARIABLE, Paths

__all__ = ["SHORT_BYTES", "check_disk", "check_runtime_folder"]

MEBIBYTE: Final = 1 << 20
SHORT_BYTES: Final = 64 * MEBIBYTE
"""With less on a disk it is soon full: a log and the one before it take up to 8 MiB."""

PRIVATE: Final = 0o077
"""Rights of others than the owner."""


async def check_runtime_folder(patient: Patient) -> Verdict:
    """The control socket and the log are the user's alone."""
    return await in_thread(lambda: _folders(patient.paths))


async def check_disk(patient: Patient) -> Verdict:
    """Settings, state and log can be written, and there is room for them on their disks."""
    return await in_thread(lambda: _disks(patient.paths))


def _disks(paths: Paths) -> Verdict:
    from desktop.disk import forbidden_folders, rooms

    if forbidden := forbidden_folders(paths):
        return error(
            f"this user may not write in {' '.join(map(str, forbidden))}",
            f"make it theirs, or set {HOME_VARIABLE} to a folder that is",
        )
    verdicts = [(str(room.folder), _disk(room.folder, room.free)) for room in rooms(paths)]
    return worst(verdicts) if verdicts else skipped("no folder of ours can be looked at")


def _disk(folder: Path, free: int) -> Verdict:
    from desktop.disk import FULL_BYTES

    remedy = f"make room on the disk of {folder}"
    if free < FULL_BYTES:
        return error(f"the disk of {folder} is full: nothing can be written there", remedy)
    words = f"{free // MEBIBYTE} MiB are free for {folder}"
    return warning(words, remedy) if free < SHORT_BYTES else ok(words)


def _folders(paths: Paths) -> Verdict:
    from desktop.api.socketfile import check_private

    try:
        if not paths.runtime.exists():
            return skipped(f"{paths.runtime} is not there: no daemon has run")
        check_private(paths.runtime)
        if not hasattr(os, "geteuid"):
            return skipped(f"{paths.runtime} is there; Windows' access lists are not looked at")
    except SamehostError as reason:
        return error(reason.message, reason.remedy)
    open_ones = [path for path in _secrets(paths) if _is_open(path)]
    if open_ones:
        names = " ".join(map(str, open_ones))
        return warning(f"others than its owner have rights on {names}", f"chmod go-rwx {names}")
    return ok(f"{paths.runtime} is {_mode(paths.runtime)}; socket and log are the user's alone")


def _secrets(paths: Paths) -> tuple[Path, ...]:
    return paths.api_socket, paths.lock_file, *sorted(paths.logs.glob(paths.log_file.name + "*"))


def _is_open(path: Path) -> bool:
    """True if others than its owner may do something with it; False if it is not there."""
    try:
        return bool(os.lstat(path).st_mode & PRIVATE)
    except FileNotFoundError:
        return False


def _mode(path: Path) -> str:
    return f"{stat.S_IMODE(os.lstat(path).st_mode):04o}"
