"""Room on the disks of Samehost's folders: settings, state, log and sockets.

Rules: each disk is told once, by the first of the folders on it; one that is not there yet is to be
made on the disk of the folder above it. What cannot be looked at has no room that anybody knows of.
Limits: bytes only; a disk may be out of files (inodes) with bytes left. Counterparts: the daemon
tells a full disk in its status, `desktop/doctor/folders.py` also one that soon is.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from desktop.paths import Paths

__all__ = ["FULL_BYTES", "Room", "forbidden_folders", "full_disks", "rooms"]

FULL_BYTES: Final = 1 << 20
"""With less a disk counts as full: settings and the agent's file are written anew as a whole."""

log = logging.getLogger(__name__)


class Room(NamedTuple):
    """A disk: the folder of ours that is on it, and how many bytes its user may still write."""

    folder: Path
    free: int


def rooms(paths: Paths) -> list[Room]:
    """Every disk once."""
    found: dict[int, Room] = {}
    for folder in (paths.config, paths.state, paths.logs, paths.runtime):
        try:
            there = next(each for each in _upwards(folder) if each.is_dir())
            found.setdefault(os.stat(there).st_dev, Room(folder, shutil.disk_usage(there).free))
        except (OSError, StopIteration) as error:
            log.debug("the disk of %s cannot be looked at: %s", folder, error)
    return list(found.values())


def forbidden_folders(paths: Paths) -> list[Path]:
    """Those in which whoever asks may write nothing, or which they may not make."""
    return [
        folder
        for folder in (paths.config, paths.state, paths.logs, paths.runtime)
        if not os.access(next(filter(os.path.exists, _upwards(folder))), os.W_OK | os.X_OK)
    ]


def full_disks(paths: Paths) -> list[str]:
    """Those that are full, in words for a person, with what to do."""
    return [
        f"the disk of {room.folder} is full; what Samehost keeps there cannot be written: make room"
        for room in rooms(paths)
        if room.free < FULL_BYTES
    ]


def _upwards(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.parents
