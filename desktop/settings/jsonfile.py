"""One JSON object in a file: read with errors that name the place, replaced as a whole.

Rules: a reader sees the old file or the new one, never a part; what was there before is on the
disk until the new one is. A file that cannot be understood is reported, never repaired.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from desktop.errors import PermissionDeniedError, SamehostError
from desktop.findings import Finding
from desktop.settings.values import RepeatedNameError, once_each

__all__ = [
    "LARGEST_FILE",
    "BrokenFileError",
    "keep_aside",
    "read_object",
    "replace",
    "stamp",
]

LARGEST_FILE: Final = 1 << 20
"""Bytes. No settings need as much; a larger file is some other file."""

MOST_KEPT: Final = 100
NEW_SUFFIX: Final = ".new"
BROKEN_SUFFIX: Final = ".broken"


class BrokenFileError(Exception):
    """The file cannot be understood as a whole."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def stamp(path: Path) -> tuple[int, ...] | None:
    """What changes whenever the file does, or who may do what with it; None if it is not there."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_ino, info.st_mtime_ns, info.st_ctime_ns, info.st_size


def read_object(
    path: Path,
    check: Callable[[Path, int], None] = lambda _path, _file: None,
    *,
    may_repeat: bool = True,
) -> dict[str, Any]:
    """The object in the file; {} if there is no file. Raises BrokenFileError, as `check` may.

    `check` is asked about the file that is read, by its descriptor. Unless it `may_repeat` a name
    within an object, where the last one counts, such a file is broken.
    """
    try:
        with open(path, "rb", opener=_open) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _broken(path, "is not a file")
            check(path, file.fileno())
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _broken(path, f"cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE:
        raise _broken(path, f"is larger than {LARGEST_FILE} bytes")
    try:
        value = json.loads(data, object_pairs_hook=None if may_repeat else once_each)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise _broken(path, f"is not JSON: {error.msg} at {place}") from error
    except RepeatedNameError as error:
        raise _broken(path, f"has {error}") from error
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise _broken(path, "does not hold a JSON object: it must begin with {")
    return value


def replace(path: Path, value: dict[str, Any]) -> None:
    """Write the object in place of the file, readable by its owner only.

    A symbolic link stays, what it leads to is replaced. Raises SamehostError, and then the
    file is as it was.
    """
    data = json.dumps(value, indent=2).encode() + b"\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(Path(os.path.realpath(path)), data)
    except PermissionError as error:
        raise PermissionDeniedError(
            f"{path} cannot be written: {error.strerror}", "run as the user who owns it"
        ) from error
    except OSError as error:
        raise SamehostError(
            f"{path} cannot be written: {error.strerror}",
            "make room or correct the folder; nothing was changed",
        ) from error


def keep_aside(path: Path) -> Path:
    """Give a broken file a second name, one that is free, and return it. Raises SamehostError."""
    for number in range(1, MOST_KEPT + 1):
        name = path.name + BROKEN_SUFFIX + (f".{number}" if number > 1 else "")
        try:
            os.link(path, path.with_name(name))
        except FileExistsError:
            continue
        except OSError as error:
            raise SamehostError(
                f"{path} is broken and cannot be kept aside: {error.strerror}",
                f"correct or move {path}",
            ) from error
        return path.with_name(name)
    raise SamehostError(
        f"{path} is broken, and so were {MOST_KEPT} before it", f"remove {path}{BROKEN_SUFFIX}*"
    )


_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


def _open(path: str, flags: int) -> int:
    """Without waiting, as for a pipe to which nobody writes."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _replace(path: Path, data: bytes) -> None:
    new = path.with_name(path.name + NEW_SUFFIX)
    # What a crash may have left here could have other permissions.
    new.unlink(missing_ok=True)
    try:
        descriptor = os.open(new, _NEW_FILE, 0o600)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Let the new name outlive a crash. Windows opens no folders, and does so by itself."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _broken(path: Path, problem: str) -> BrokenFileError:
    return BrokenFileError(Finding(f"{path} {problem}", "correct the file or move it away"))
