"""Whether a file of the administrator is the administrator's: who owns it, who may write it.

Rules: a file that somebody else owns, or that a group or everybody may write, is nobody's word to
trust; nor is one in a folder of that kind, where whoever may write can put or remove it. Of a
symbolic link both folders count, the link's and that of what it leads to. What the user may own,
the user's own group may write, as by a umask of 002. Reads, never repairs.

Limits: folders above that one are taken to be as the system made them. Where users have no numbers
(Windows), access lists decide who may write, and nothing is looked at here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from desktop.findings import Finding
from desktop.settings.jsonfile import BrokenFileError

__all__ = ["ADMINISTRATOR", "check_file", "check_folders"]

ADMINISTRATOR: Final = 0
"""The user who is root."""


def check_folders(path: Path, *, may_be_users: bool) -> None:
    """See that only the administrator decides what is at `path`, be it there or not.

    `may_be_users`: the user who runs this is one. Raises BrokenFileError.
    """
    for folder in dict.fromkeys((path.parent, Path(os.path.realpath(path)).parent)):
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        except OSError as error:
            finding = Finding(f"{folder} cannot be looked at: {error.strerror}", "correct it")
            raise BrokenFileError(finding) from error
        _check(folder, status, may_be_users)


def check_file(path: Path, file: int, *, may_be_users: bool) -> None:
    """See that only the administrator wrote what an open file holds. Raises BrokenFileError."""
    _check(path, os.fstat(file), may_be_users)


def _check(path: Path, status: os.stat_result, may_be_users: bool) -> None:
    if not hasattr(os, "geteuid"):
        return
    trusted = {ADMINISTRATOR: "root"} | ({os.geteuid(): "the user"} if may_be_users else {})
    if status.st_uid not in trusted:
        raise BrokenFileError(
            Finding(
                f"{path} belongs to the user with id {status.st_uid}, so it is not heeded: only"
                f" {' or '.join(trusted.values())} may own it",
                f"look at what it says, then: sudo chown root {path}",
            )
        )
    is_own_group = may_be_users and status.st_gid == os.getegid()
    if status.st_mode & (stat.S_IWOTH if is_own_group else stat.S_IWGRP | stat.S_IWOTH):
        raise BrokenFileError(
            Finding(
                f"others may write {path} (mode {stat.S_IMODE(status.st_mode):04o}), so it is not"
                " heeded",
                f"look at what it says, then: sudo chmod go-w {path}",
            )
        )
