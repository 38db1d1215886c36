"""`samehost logs`: the daemon's log, once or as it grows. Asks nobody but the file.

Machines have their word in it: what could steer a terminal is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final, TextIO

from desktop.cli import reader
from desktop.cli.logfile import log_file
from desktop.errors import ExitCode, NotRunningError
from desktop.log_end import LONGEST_TAIL
from desktop.paths import Paths
from desktop.printable import LINES, printable

__all__ = ["add_arguments", "run"]

POLL_SECONDS: Final = 0.2
"""A file that grows wakes nobody who waits for it, short of inotify."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """See `main.VerbModule`."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on as the log grows")


def run(arguments: argparse.Namespace, paths: Paths) -> int:
    """See `main.VerbModule`."""
    try:
        file = _open(paths.log_file)
    except FileNotFoundError as error:
        raise NotRunningError(
            f"there is no log yet at {paths.log_file}", "it is made by: samehost up"
        ) from error
    while True:
        with file:
            _copy(file)
            if not arguments.follow:
                return ExitCode.DONE
            while not _was_replaced(file, paths.log_file):
                reader.wait(None, POLL_SECONDS)
                _copy(file)
            _copy(file)
        file = _open(paths.log_file)


def _open(path: Path) -> TextIO:
    return open(log_file().read_from(path), encoding="utf-8", errors="replace")


def _copy(file: TextIO) -> None:
    while text := file.read(LONGEST_TAIL):
        sys.stdout.write(printable(text, LINES))
    sys.stdout.flush()


def _was_replaced(file: TextIO, path: Path) -> bool:
    """True if the name means another file now, or the file has become shorter."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(file.fileno())
    return not os.path.samestat(status, ours) or ours.st_size < os.lseek(
        file.fileno(), 0, os.SEEK_CUR
    )
