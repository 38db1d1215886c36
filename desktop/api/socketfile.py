"""The place of the control socket: a folder that is ours alone, and a socket file in it.

Rules: the folder is 0700 and owned by us, the socket 0600; a folder of somebody else, or one
that others may write, is refused, not repaired. A socket file that is there is removed only
after nobody answered on it. Who connected the kernel says (`peers.py`).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path
from typing import Final

from desktop.errors import ConflictError, PermissionDeniedError, SamehostError, UsageError
from desktop.paths import HOME_VARIABLE, SOCKET_PATH_LIMIT

__all__ = [
    "bind",
    "check_length",
    "check_private",
    "is_same",
    "private_folder",
    "remove_stale",
    "unlink_if_same",
]

BACKLOG: Final = 64
PROBE_SECONDS: Final = 2.0
"""A living server takes a connection in no time, since the kernel does it for it."""

_FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_WRITABLE_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


def check_length(path: Path) -> None:
    """Raise UsageError if no socket can have this path."""
    if len(os.fsencode(path)) > SOCKET_PATH_LIMIT:
        raise UsageError(
            f"the path is too long for a Unix socket: {path}",
            f"use a folder with a shorter name; the limit is {SOCKET_PATH_LIMIT} bytes",
        )


def private_folder(folder: Path) -> None:
    """Make a folder for us alone, or see that it is one. Raises PermissionDeniedError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(folder)
    except OSError as error:
        remedy = "correct what is in its place"
        if error.errno in _FORBIDDEN:
            remedy = f"correct the folder above it, or set {HOME_VARIABLE} to a folder of yours"
        raise PermissionDeniedError(
            f"the folder {folder} cannot be made: {error.strerror}", remedy
        ) from error


def check_private(folder: Path) -> None:
    """See that a folder is for us alone. Raises PermissionDeniedError, OSError."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionDeniedError(f"{folder} is not a folder", f"move {folder} away")
    if not hasattr(os, "geteuid"):
        return  # on Windows access lists say who may, and a user's own folders are theirs
    if status.st_uid != os.geteuid():
        raise PermissionDeniedError(
            f"the folder {folder} belongs to another user (id {status.st_uid})",
            f"remove {folder}, or run as that user",
        )
    if status.st_mode & _WRITABLE_BY_OTHERS:
        raise PermissionDeniedError(
            f"others may write in the folder {folder}", f"chmod 700 {folder}"
        )


def remove_stale(path: Path) -> None:
    """Remove a socket on which nobody answers. Raises ConflictError if somebody does."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise ConflictError(f"{path} is not a socket", f"move {path} away")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError as error:
            raise ConflictError(
                f"the socket {path} is in use: {error.strerror or 'no answer'}", "samehost down"
            ) from error
    raise ConflictError(f"a daemon answers on {path} already", "samehost down")


def bind(path: Path) -> socket.socket:
    """A listening socket at `path`. Raises SamehostError."""
    check_length(path)
    private_folder(path.parent)
    remove_stale(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        sock.bind(os.fspath(path))
        # Nobody can connect before listen(): there is no moment with wider permissions.
        os.chmod(path, 0o600)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SamehostError(
            f"the socket {path} cannot be made: {error.strerror}", "look at that folder"
        ) from error
    return sock


def is_same(path: Path, inode: int) -> bool:
    """True if the socket file is still the one with that inode."""
    try:
        return os.lstat(path).st_ino == inode
    except (FileNotFoundError, NotADirectoryError):
        return False


def unlink_if_same(path: Path, inode: int) -> None:
    """Remove the socket file if it is still the one with that inode."""
    if is_same(path, inode):
        path.unlink(missing_ok=True)
